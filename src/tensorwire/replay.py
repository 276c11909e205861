"""From a profile to the scheme that sends its messages again."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from tensorwire.distance import Distance, distance
from tensorwire.errors import SpecError
from tensorwire.payload import MAX_BUFFERS, Replay
from tensorwire.profile import OUTSIDE, Message, Profile
from tensorwire.units import Bytes

MOST_MESSAGES = 10_000
"""Of an exact replay: every payload stands in the plan and in the result."""
_DRAWS = 1000

Kept = list[tuple[Bytes, ...]]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A scheme, and what it leaves out of the profile, in sentences."""

    scheme: Replay
    notes: tuple[str, ...]


def proportional(profile: Profile) -> Replayed:
    """The steady messages as a distribution to draw from. Raises SpecError when there is none to send."""
    kept, notes = _with_content(profile, profile.steady)
    times = Counter(kept)
    scheme = Replay(
        name=profile.name,
        sizes=tuple(times),
        counts=tuple(times.values()),
        draws=min(_DRAWS, MAX_BUFFERS // max(map(len, times))),
        part=_part(profile),
    )
    return Replayed(scheme=scheme, notes=notes)


def exact(profile: Profile) -> Replayed:
    """The steady messages in their order: whole steps from the first on, as many as MOST_MESSAGES allow.

    Raises SpecError when there is no message to send, or the first step alone has too many.
    """
    chosen, part = _leading(profile)
    kept, notes = _with_content(profile, chosen)
    places = {sizes: place for place, sizes in enumerate(dict.fromkeys(kept))}
    scheme = Replay(
        name=profile.name,
        sizes=tuple(places),
        order="exact",
        messages=tuple(places[sizes] for sizes in kept),
        part=part,
    )
    return Replayed(scheme=scheme, notes=notes)


def fidelity(profile: Profile, scheme: Replay) -> Distance:
    """How far the sizes of the messages that `scheme` sends are from those of the profile's steady messages."""
    return distance(profile.message_sizes(), Counter(payload.total for payload in scheme.payloads()))


def _leading(profile: Profile) -> tuple[Sequence[Message], str]:
    steady = profile.steady
    if len(steady) <= MOST_MESSAGES:
        return steady, _part(profile)
    in_step = Counter(message[3] for message in steady)
    steps = [step for step, so_far in zip(sorted(in_step), _sums(in_step), strict=True) if so_far <= MOST_MESSAGES]
    if OUTSIDE in in_step or not steps:
        sentence = (
            f"profile {profile.name} has {len(steady)} messages, and no first steps of at most {MOST_MESSAGES}, "
            "which is what an exact replay sends; capture for a shorter time, or use --order proportional"
        )
        raise SpecError("order", "exact", "proportional", sentence)
    chosen = set(steps)
    return [message for message in steady if message[3] in chosen], f"steps 1 to {len(steps)} of {len(in_step)}"


def _sums(counts: Counter[int]) -> list[int]:
    return list(accumulate(counts[step] for step in sorted(counts)))


def _with_content(profile: Profile, messages: Sequence[Message]) -> tuple[Kept, tuple[str, ...]]:
    """The payloads of the messages without their empty buffers, and without those that are empty then."""
    full = [tuple(size for size in sizes if size) for sizes in profile.payloads]
    empty = sum(len(profile.payloads[message[2]]) - len(full[message[2]]) for message in messages)
    kept = [full[message[2]] for message in messages if full[message[2]]]
    if not kept:
        sentence = f"profile {profile.name} has no message with a byte in it: there is nothing to replay"
        raise SpecError("payload", profile.name, "a profile with messages", sentence)
    notes = []
    if empty:
        notes.append(f"buffers of 0 B are not replayed: {empty}")
    if nothing := len(messages) - len(kept):
        notes.append(f"messages without content are not replayed: {nothing}")
    return kept, tuple(notes)


def _part(profile: Profile) -> str:
    left = len(profile.messages) - len(profile.steady)
    return f"its {len(profile.steps)} steps" if left else ""
