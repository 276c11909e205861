"""Makes the seeds of fuzz_tap.cc: python cpp/tests/fuzz_seeds.py DIRECTORY. Needs the extra grpc-python.

What gRPC and TLS send is recorded from real connections; the other protocols are made by hand.
"""

import contextlib
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc

_LONGEST = 3000


class _Echo(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        if details.method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(lambda asked, _: (2 * each for each in asked))
        return grpc.unary_unary_rpc_method_handler(lambda asked, _: 2 * asked)


def recorded_grpc(compression: grpc.Compression) -> Iterator[bytes]:
    """What a client and a server of gRPC send."""
    server = grpc.server(futures.ThreadPoolExecutor(2), compression=compression)
    server.add_generic_rpc_handlers((_Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sent, relays = [bytearray(), bytearray()], []
    listening = socket.create_server(("127.0.0.1", 0))

    def relay(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):  # either end may leave first
            while data := source.recv(65536):
                kept.extend(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        client, server_end = listening.accept()[0], socket.create_connection(("127.0.0.1", port))
        for ends in ((client, server_end, sent[0]), (server_end, client, sent[1])):
            relays.append(threading.Thread(target=relay, args=ends))
            relays[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    with grpc.insecure_channel(f"127.0.0.1:{listening.getsockname()[1]}", compression=compression) as channel:
        for size in (0, 1, 100, 900):
            channel.unary_unary("/t.S/Double")(bytes(size))
        list(channel.stream_stream("/t.S/Stream")(iter([b"a" * 5, b"", b"b" * 50])))
    server.stop(None).wait()
    accepting.join()
    for each in relays:
        each.join()
    yield from map(bytes, sent)


def recorded_tls() -> Iterator[bytes]:
    """What a client of TLS sends first: it needs no server for that."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        yield out.read()


def tls_record(kind: int, size: int) -> bytes:
    return struct.pack(">BHH", kind, 0x303, size) + bytes(size)


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def message(size: int, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, size) + bytes(size)


def call(kind: int, size: int, content: bytes = b"") -> bytes:
    return struct.pack("<IIQQ", 0x7477_0001 + kind, 0, size, 0) + content


def operation(code: int, length: int) -> bytes:
    content = bytes(length) if code < 2 else b""
    return struct.pack("<6Q", 48 + len(content), code, 7, 0, length, 0) + content


def streams() -> Iterator[tuple[str, bytes]]:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, bytes(6))
    for name, compression in (("grpc", grpc.Compression.NoCompression), ("gzip", grpc.Compression.Gzip)):
        yield from zip((f"{name}-client", f"{name}-server"), recorded_grpc(compression), strict=True)
    (hello,) = recorded_tls()
    records = tls_record(20, 1) + tls_record(23, 300) + tls_record(23, 17) + tls_record(21, 2)
    yield "tls-client", hello + records
    yield "tls-server", struct.pack(">BHHB", 22, 0x303, 90, 2) + bytes(89) + records
    yield "tls-wrong", hello + b"\x63" * 30
    layout = struct.pack("<3Q", 2, 10, 20)
    yield "tcp-caller", call(0, 24, layout) + call(1, 30, bytes(30)) + call(2, 30, bytes(30)) + call(4, 0)
    yield "tcp-server", call(0, 24) + call(1, 30, bytes(30)) + call(2, 30) + call(4, 9, bytes(9)) + call(3, 24)
    yield "tcp-wrong", call(0, 24, layout) + call(1, 30, bytes(30)) + b"GET / HTTP/1.1\r\n\r\n" * 3
    operations = operation(2, 50) + operation(1, 30) + operation(3, 70) + operation(0, 5) + operation(1, 0)
    yield "gloo-listening", operations
    yield "gloo-connecting", struct.pack("<Q", 3) + operations
    yield "gloo-wrong", operations + bytes(60)
    yield "http1", b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    yield "zeros", bytes(100)
    yield "padded", preface + frame(1, 0x2C, 1, b"\3PRIORblockpad") + frame(0, 8, 1, b"\4" + message(9) + b"pads")
    yield "overpadded", preface + frame(0, 8, 1, b"\x77short")
    yield (
        "interleaved",
        preface
        + b"".join(frame(0, 0, stream, message(40)[at : at + 15]) for at in (0, 15, 30) for stream in (1, 3, 5)),
    )
    yield "reset", preface + frame(0, 0, 1, message(50)[:20]) + frame(3, 0, 1, bytes(4)) + frame(0, 1, 3, message(3))
    yield "not-grpc", preface + frame(0, 0, 1, b"hello") + frame(0, 0, 3, message(1))
    yield "pushed", preface + frame(5, 4, 1, bytes(9))
    yield "continued", preface + frame(1, 0, 1, b"some") + frame(9, 4, 1, b"more")
    yield "flooded", preface + b"".join(frame(0, 0, 2 * at + 1, message(9)[:7]) for at in range(66))
    yield "truncated", (preface + frame(0, 0, 1, message(500)))[:200]


def sent(connection: int, *buffers: bytes) -> bytes:
    """A step of the other kind of input: one of the four connections sends up to three buffers of up to 1020 B."""
    padded = [each + bytes(-len(each) % 4) for each in buffers]
    parts = b"".join(bytes([len(each) // 4]) + each for each in padded)
    return bytes([connection << 6 | 9, len(buffers) - 1]) + parts


def programs() -> Iterator[tuple[str, bytes]]:
    """What a program does; messages are such that they need no padding."""
    client = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    data = frame(0, 0, 1, message(500))
    start = sent(0, client) + sent(1, operation(1, 100), operation(1, 12)) + sent(2, call(0, 24, bytes(24)))
    yield (
        "three-at-once",
        start + sent(0, data[:14] + bytes(2)) + sent(1, operation(3, 1)) + sent(2, call(1, 32, bytes(32))),
    )
    yield "by-file", start + sent(1, operation(1, 200)[:48]) + bytes([0x40, 199]) + sent(1, operation(1, 4))
    yield "shared", start + bytes([3]) + bytes([5]) + sent(0, b"more") + bytes([4])
    yield "forked", start + bytes([8]) + sent(1, operation(1, 4))
    yield (
        "decrypted",
        sent(3, tls_record(22, 99)) + bytes([0xC6]) + bytes([0xC7, 6]) + client + bytes([0xC7, 12]) + data[:48],
    )
    yield "opened-again", start + bytes([0x42]) + sent(1, operation(1, 4)) + bytes([0x41, 7])


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in streams():
        (directory / name).write_bytes(b"\0\7" + data[:_LONGEST])
    for name, data in programs():
        (directory / name).write_bytes(b"\1" + data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
