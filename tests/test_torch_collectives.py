"""What the channels over torch.distributed make of what PyTorch says; the operations themselves are in the contract."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tensorwire.channels import nccl
from tensorwire.channels.torch_collectives import poll, translated
from tensorwire.errors import ChannelError, PeerLost, TransferTimeout


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[../pair.cc:553] Connection closed by peer [127.0.0.1]:4242\nException raised from ...", PeerLost),
        ("[../pair.cc:553] Read error [127.0.0.1]:4242: Connection reset by peer", PeerLost),
        ("[../unbound_buffer.cc:81] Timed out waiting 500ms for recv operation to complete", TransferTimeout),
        ("Operation timed out!", TransferTimeout),
        ("no such operation", ChannelError),
    ],
)
def test_what_pytorch_raises_becomes_one_sentence_of_ours(said: str, kind: type[ChannelError]) -> None:
    with pytest.raises(ChannelError) as raised, translated():
        raise RuntimeError(said)
    assert type(raised.value) is kind
    assert "\n" not in str(raised.value)
    assert said.partition("\n")[0] in str(raised.value)


def test_what_is_no_error_of_the_channel_is_left_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), translated():
        raise KeyboardInterrupt


def test_polling_looks_at_least_once_and_until_it_is_so() -> None:
    answers: Iterator[bool] = iter([False, False, True])
    assert poll(lambda: next(answers), 10**12)
    assert not poll(lambda: False, 0)


class Event:
    """An event of a device that is done after so many looks."""

    looks = 0
    recorded = 0

    def record(self) -> None:
        self.recorded += 1
        self.looks = 3

    def query(self) -> bool:
        self.looks -= 1
        return self.looks <= 0


def test_an_operation_of_a_gpu_is_over_when_the_device_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []
    work = SimpleNamespace(wait=lambda: waited.append("stream"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(Event=Event)))
    gpu = nccl._Gpu("cuda:0")
    part: Any = SimpleNamespace(operation="all-reduce")
    assert not gpu.done(work, part, 0)
    assert waited == ["stream"]
    assert gpu.done(work, part, 10**12)
    assert (waited, gpu._event.recorded) == (["stream"], 1)
