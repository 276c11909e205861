"""gRPC as Python programs use it: the grpcio package with bytes in and bytes out, so that people see what Python costs.

The rank is Python, driven by the core's loops. grpcio takes a message as one `bytes`, so the payload's buffers are
joined anew for every call: that copy is part of what Python costs.
"""

from __future__ import annotations

import importlib.util
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from tensorwire.channels.python import Buffers, Opening, Reply, python_rank
from tensorwire.errors import AddressInUse, ChannelError, ChannelUnavailable, PeerLost, SpecError

_SERVICE = "tensorwire.Wire"
_CLOSE_SECONDS = 2.0
_COUNT_BYTES = 8
_ANSWER = "answer"
"""The metadata in which a call says which answer it wants, as the native channel's do."""
_MOST_DIGITS = 10
_LIMITS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """grpcio has few choices that matter here."""

    server_threads: int = 4
    """Threads of the serving side's pool."""

    def __post_init__(self) -> None:
        if not 1 <= self.server_threads <= 1024:
            raise SpecError("server_threads", self.server_threads, "from 1 to 1024")


class GrpcPython:
    """The channel as the registry knows it."""

    name = "grpc-python"
    summary = "the grpcio package with bytes in and bytes out: what Python costs"
    options = Options
    serializes = False

    def command(self) -> tuple[str, ...]:
        if importlib.util.find_spec("grpc") is None:
            raise ChannelUnavailable("channel grpc-python needs grpcio: pip install 'tensorwire[grpc-python]'")
        return python_rank(self.name)


channel = GrpcPython()


def open(opening: Opening, all_gather: Callable[[bytes], list[bytes]]) -> Endpoint:
    """Starts to serve, then meets the other ranks to exchange addresses. Raises AddressInUse."""
    server = _Server(opening) if opening.serves else None
    addresses = all_gather(server.address.encode() if server else b"")
    return Endpoint(server, [address.decode() for address in addresses], opening.timeout_ns / 1e9)


class Endpoint:
    """The channel, open on one rank."""

    def __init__(self, server: _Server | None, addresses: Sequence[str], connect_seconds: float) -> None:
        self._server = server
        self._addresses = addresses
        self._connect_seconds = connect_seconds
        self._channels: dict[int, Any] = {}

    def caller(self, slots: Sequence[int], /) -> Caller:
        """Raises PeerLost when a peer cannot be reached."""
        for rank in set(slots):
            if rank not in self._channels:
                self._channels[rank] = _connect(rank, self._addresses[rank], self._connect_seconds)
        return Caller([self._channels[rank] for rank in slots], slots)

    def answer_with(self, answers: Buffers, /) -> None:
        if self._server:
            self._server.answers = list(answers)

    def served(self) -> tuple[int, int]:
        return (self._server.calls, self._server.bytes) if self._server else (0, 0)

    def settings(self) -> dict[str, str]:
        import grpc

        unix = any(address.startswith("unix:") for address in self._addresses)
        return {"transport": "unix" if unix else "tcp", "grpcio": grpc.__version__, "message_limit": "none"}

    def close(self) -> None:
        for open_channel in self._channels.values():
            open_channel.close()
        if self._server:
            self._server.close()


class Caller:
    """Starts calls as futures, whose callbacks put what came back in a queue."""

    def __init__(self, channels: Sequence[Any], ranks: Sequence[int]) -> None:
        self._echo = [each.unary_unary(f"/{_SERVICE}/Echo") for each in channels]
        self._acknowledge = [each.unary_unary(f"/{_SERVICE}/Acknowledge") for each in channels]
        self._recorded = [each.unary_unary(f"/{_SERVICE}/Recorded") for each in channels]
        self._ranks = list(ranks)
        self._payloads: list[list[memoryview]] = []
        self._done: queue.SimpleQueue[tuple[int, Reply, Any]] = queue.SimpleQueue()
        self._replies: dict[int, bytes] = {}

    def prepare(self, payloads: Buffers, answers: Buffers, /) -> None:
        self._payloads = [list(payload) for payload in payloads]

    def call(self, slot: int, payload: int, reply: Reply, /) -> None:
        message = b"".join(self._payloads[payload])
        if isinstance(reply, int):
            future = self._recorded[slot].future(message, metadata=((_ANSWER, str(reply)),))
        else:
            future = (self._echo if reply == "echo" else self._acknowledge)[slot].future(message)
        future.add_done_callback(lambda done: self._done.put((slot, reply, done)))

    def wait(self, most: int, timeout_ns: int, /) -> list[tuple[int, int]]:
        """Raises PeerLost or ChannelError when a call failed."""
        finished = []
        try:
            finished.append(self._finish(*self._done.get(timeout_ns > 0, timeout_ns / 1e9)))
            while len(finished) < most:
                finished.append(self._finish(*self._done.get_nowait()))
        except queue.Empty:
            pass
        return finished

    def reply(self, slot: int, /) -> list[bytes]:
        return [self._replies[slot]]

    def _finish(self, slot: int, asked: Reply, done: Any) -> tuple[int, int]:
        import grpc

        if done.code() is not grpc.StatusCode.OK:
            rank, code, details = self._ranks[slot], done.code().name, done.details()
            lost = done.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            raise (PeerLost if lost else ChannelError)(f"a call to rank {rank} failed: {code}: {details}")
        reply: bytes = done.result()
        self._replies[slot] = reply
        return slot, int.from_bytes(reply, "little") if asked == "acknowledge" else len(reply)


class _Server:
    """Serves Echo, Acknowledge and Recorded for any bytes."""

    def __init__(self, opening: Opening) -> None:
        import grpc

        self.calls = 0
        self.bytes = 0
        self.answers: Buffers = []
        self._counting = threading.Lock()
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Acknowledge": grpc.unary_unary_rpc_method_handler(self._acknowledge),
            "Recorded": grpc.unary_unary_rpc_method_handler(self._recorded),
        }
        pool = ThreadPoolExecutor(opening.options["server_threads"])
        self._server = grpc.server(pool, options=(*_LIMITS, ("grpc.so_reuseport", 0)))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        self.address = self._bind(opening)
        self._server.start()

    def close(self) -> None:
        self._server.stop(None).wait(_CLOSE_SECONDS)

    def _bind(self, opening: Opening) -> str:
        if opening.host.startswith("unix:"):
            address = f"{opening.host}/rank-{opening.rank}.sock"
            self._server.add_insecure_port(address)
            return address
        host = f"[{opening.host}]" if ":" in opening.host else opening.host
        try:
            port = self._server.add_insecure_port(f"{host}:{opening.port}")
        except RuntimeError as wrong:
            raise AddressInUse(f"port {opening.port} of {opening.host} is in use") from wrong
        return f"{host}:{port}"

    def _echo(self, request: bytes, context: Any) -> bytes:
        self._count(request)
        return request

    def _acknowledge(self, request: bytes, context: Any) -> bytes:
        self._count(request)
        return len(request).to_bytes(_COUNT_BYTES, "little")

    def _recorded(self, request: bytes, context: Any) -> bytes:
        import grpc

        answers = self.answers
        wanted = dict(context.invocation_metadata()).get(_ANSWER, "")
        known = wanted.isdecimal() and len(wanted) < _MOST_DIGITS and int(wanted) < len(answers)
        if not known:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such answer")
        self._count(request)
        return b"".join(answers[int(wanted)])

    def _count(self, request: bytes) -> None:
        with self._counting:
            self.calls += 1
            self.bytes += len(request)


def _connect(rank: int, address: str, seconds: float) -> Any:
    import grpc

    connected = grpc.insecure_channel(address, options=(*_LIMITS, ("grpc.enable_http_proxy", 0)))
    try:
        grpc.channel_ready_future(connected).result(seconds)
    except grpc.FutureTimeoutError as wrong:
        raise PeerLost(f"cannot connect to rank {rank} at {address} within {seconds:g} s") from wrong
    return connected
