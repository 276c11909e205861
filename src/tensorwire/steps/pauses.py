"""Steps by idle gaps: bursts of messages that are alike, between pauses clearly longer than any within them."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median

import msgspec

from tensorwire.profile import Profile
from tensorwire.units import format_duration

_APART, _APART_WHERE_ASKED = 3.0, 1.5  # the shortest pause between bursts, over the longest within one
_FEWEST, _FEWEST_WHERE_ASKED = 5, 2
_ALIKE = 0.1
_MOST_ODD = 0.1  # of the bursts, which may differ by more than that from the middle one

Span = tuple[int, int]


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """The steps that lie between pauses, and in words the evidence, or what is lacking."""

    steps: tuple[Span, ...] = ()
    note: str


def find(profile: Profile, asked: bool) -> Pauses:
    """Bursts of the same bytes between clear pauses; where the user `asked` for them, less clear ones do too."""
    times = [message[0] for message in profile.messages]
    lengths = sorted((b - a for a, b in pairwise(times) if b > a), reverse=True)
    fewest = _FEWEST_WHERE_ASKED if asked else _FEWEST
    apart = _APART_WHERE_ASKED if asked else _APART
    counts = range(fewest + 1, len(lengths))  # so many pauses have the fewest bursts between them
    count = max(counts, key=lambda count: lengths[count - 1] / lengths[count], default=0)
    if not count or lengths[count - 1] < apart * lengths[count]:
        return Pauses(note="the pauses between messages are not clearly of two kinds")
    shortest, longest_within = lengths[count - 1], lengths[count]
    bursts = [(a, b) for a, b in pairwise(b for a, b in pairwise(times) if b - a >= shortest)]
    sizes = _bytes(profile, bursts)
    middle = median(sizes)
    alike = tuple(burst for burst, size in zip(bursts, sizes, strict=True) if abs(size - middle) <= _ALIKE * middle)
    if len(alike) < fewest or (not asked and len(alike) < (1 - _MOST_ODD) * len(bursts)):
        return Pauses(note=f"there are {len(bursts)} bursts between pauses, but their bytes are not alike")
    note = (
        f"steps were found by idle gaps: {len(alike)} bursts of alike bytes between pauses of at least "
        f"{format_duration(float(shortest))}; the longest within one is {format_duration(float(longest_within))}; "
        f"other bursts, left out: {len(bursts) - len(alike)}"
    )
    return Pauses(steps=alike, note=note)


def _bytes(profile: Profile, bursts: Sequence[Span]) -> list[int]:
    """What was sent in each; they follow each other."""
    totals = [sum(sizes) for sizes in profile.payloads]
    times = [message[0] for message in profile.messages]
    so_far = [0, *accumulate(totals[message[2]] for message in profile.messages)]
    places = {at: place for place, at in reversed(list(enumerate(times)))}
    return [so_far[places[end]] - so_far[places[begin]] for begin, end in bursts]
