"""A rank whose channel is written in Python: python -m tensorwire.rank CHANNEL PLAN RANK.

It runs the very loops of the native ranks, through the compiled module; only the channel is Python.
"""

import os
import sys
from collections.abc import Sequence

from tensorwire import _core, registry
from tensorwire.channels.python import Buffers, Reply
from tensorwire.errors import TensorwireError


class NullCaller:
    """Moves nothing: what the loop costs over it is the cost of the loop and of the step into Python."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._answers: list[int] = []
        self._finished: list[tuple[int, int]] = []

    def prepare(self, payloads: Buffers, answers: Buffers, /) -> None:
        self._sizes = [sum(len(buffer) for buffer in payload) for payload in payloads]
        self._answers = [sum(len(buffer) for buffer in answer) for answer in answers]

    def call(self, slot: int, payload: int, reply: Reply, /) -> None:
        self._finished.append((slot, self._answers[reply] if isinstance(reply, int) else self._sizes[payload]))

    def wait(self, most: int, timeout_ns: int, /) -> Sequence[tuple[int, int]]:
        finished, self._finished = self._finished[:most], self._finished[most:]
        return finished

    def reply(self, slot: int, /) -> Sequence[bytes]:
        return []


def main() -> int:
    """Runs one rank; exits as the native ranks do (cpp/rank/main.cc)."""
    if len(sys.argv) != 4:
        print("usage: python -m tensorwire.rank CHANNEL PLAN RANK", file=sys.stderr)
        return 2
    name, plan, rank = sys.argv[1:]
    parent = os.environ.get("TENSORWIRE_PARENT")
    if parent and not _core.die_with(int(parent)):
        return 1
    try:
        _core.run_rank(plan, int(rank), os.environ["TENSORWIRE_TOKEN"], registry.opener(name), NullCaller)
    except TensorwireError as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except (RuntimeError, ValueError) as error:  # a plan or a place to run that makes no sense
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # all is told; what a channel's libraries do on their way out takes seconds, or waits for threads
