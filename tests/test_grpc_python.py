"""Whoever connects to a channel written in Python may say anything."""

from types import SimpleNamespace

import pytest

grpc = pytest.importorskip("grpc")

from tensorwire.channels import grpc_python  # noqa: E402

OPENING = SimpleNamespace(
    rank=0, size=1, serves=True, host="127.0.0.1", port=0, serialized=False, spin=False, timeout_ns=10**10,
    options={"server_threads": 1},
)  # fmt: skip


@pytest.mark.parametrize(
    "metadata", [(), (("answer", ""),), (("answer", "2"),), (("answer", "-1"),), (("answer", "9" * 400),)], ids=str
)
def test_an_answer_that_is_not_there_fails_the_call_and_no_other(metadata: tuple[tuple[str, str], ...]) -> None:
    addresses: list[bytes] = []

    def meet(mine: bytes) -> list[bytes]:
        addresses.append(mine)
        return addresses

    endpoint = grpc_python.open(OPENING, meet)
    try:
        endpoint.answer_with([[memoryview(b"one")], [memoryview(b""), memoryview(b"two")]])
        with grpc.insecure_channel(addresses[0].decode()) as stranger:
            ask = stranger.unary_unary("/tensorwire.Wire/Recorded")
            with pytest.raises(grpc.RpcError) as refused:
                ask(b"asked", metadata=metadata, timeout=20)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert ask(b"asked", metadata=(("answer", "1"),), timeout=20) == b"two"
        assert endpoint.served() == (1, 5)
    finally:
        endpoint.close()
