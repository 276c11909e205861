"""gRPC C++, asynchronous, generic over byte buffers. The native half is cpp/channels/grpc.cc."""

from pathlib import Path
from typing import Literal

import msgspec

from tensorwire.channels import Native
from tensorwire.errors import SpecError
from tensorwire.units import Bytes

_SMALLEST_FRAME, _LARGEST_FRAME = 2**14, 2**24 - 1  # RFC 9113, 4.2


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How gRPC is used. Its message limits are lifted, retries and proxies are off, as TensorFlow has them."""

    call: Literal["unary", "stream"] = "unary"
    """One RPC for each call, or one open stream for each call in flight."""
    connections: int = 1
    """TCP connections to each peer; the calls in flight are dealt out over them."""
    server_queues: int = 1
    """Completion queues of the serving side."""
    server_threads: int | None = None
    """Threads that serve, dealt out over the queues; None: one to a queue."""
    frame_size: Bytes = Bytes(2**20)
    """The largest HTTP/2 frame."""
    zero_copy: bool = False
    """MSG_ZEROCOPY for what is sent (it costs on loopback)."""
    compression: Literal["none", "gzip", "deflate"] = "none"
    tls_certificate: str | None = None
    """PEM files; the three turn TLS on. The certificate must be for localhost."""
    tls_key: str | None = None
    tls_authority: str | None = None

    def __post_init__(self) -> None:
        for field, value, least, most in (
            ("connections", self.connections, 1, 1024),
            ("server_queues", self.server_queues, 1, 1024),
            ("server_threads", self.server_threads or self.server_queues, self.server_queues, 1024),
            ("frame_size", self.frame_size, _SMALLEST_FRAME, _LARGEST_FRAME),
        ):
            if not least <= value <= most:
                raise SpecError(field, value, f"from {least} to {most}")
        self._check_tls()

    @property
    def no_answers(self) -> str:
        """Why calls cannot ask for recorded replies; empty where they can."""
        cannot = "channel grpc: a message of a stream cannot say which recorded reply it wants; use -o call=unary"
        return cannot if self.call == "stream" else ""

    def _check_tls(self) -> None:
        files = [self.tls_certificate, self.tls_key, self.tls_authority]
        if any(files) and not all(files):
            raise SpecError("tls", files, "tls_certificate, tls_key and tls_authority, all three")
        for file in filter(None, files):
            if not Path(file).is_file():
                raise SpecError("tls", file, "PEM files that exist")


channel = Native(
    name="grpc",
    summary="gRPC C++, slices over the payload's own memory, or serialized by protobuf",
    options=Options,
    serializes=True,
    remedy="apt-get install libgrpc++-dev libprotobuf-dev protobuf-compiler pkg-config",
)
