"""How a transport handed a job's bytes to the kernel: calls, and the iovecs of each."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from tensorwire.instruments.connections import End
from tensorwire.instruments.tap_log import Send
from tensorwire.profile import OUTSIDE, SystemCalls

Steady = Callable[[int, int, int], bool]
"""Whether what was sent at a time, from one role to another, counts."""


def system_calls(
    found: Sequence[End], others: Sequence[End | None], places: Mapping[int, int], steady: Steady
) -> tuple[SystemCalls, ...]:
    """Those that count, by sender and receiver; `places` has the role of each process."""
    sends: dict[tuple[int, int], list[Send]] = defaultdict(list)
    for end, other in zip(found, others, strict=True):
        if end.process not in places:
            continue  # it sent no message
        sender, receiver = places[end.process], places.get(other.process, OUTSIDE) if other else OUTSIDE
        sends[sender, receiver] += [send for send in end.sends if steady(send.at_ns, sender, receiver)]
    return tuple(_summary(*who, each) for who, each in sorted(sends.items()) if each)


def _summary(sender: int, receiver: int, sends: Sequence[Send]) -> SystemCalls:
    iovecs = Counter(size for send in sends for size in send.sizes)
    return SystemCalls(
        sender=sender,
        receiver=receiver,
        calls=len(sends),
        bytes=sum(size * times for size, times in iovecs.items()),
        iovecs=tuple(sorted(iovecs.items())),
        per_call=tuple(sorted(Counter(len(send.sizes) for send in sends).items())),
    )
