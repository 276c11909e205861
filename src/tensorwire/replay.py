"""From a profile to the scheme that sends its messages again."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec

from tensorwire.distance import Distance, distance
from tensorwire.errors import SpecError
from tensorwire.payload import MAX_BUFFER, MAX_BUFFERS
from tensorwire.profile import OUTSIDE, Profile
from tensorwire.recorded import ALONE, Replay, Steps
from tensorwire.units import Bytes, format_size

MOST_MESSAGES = 10_000
"""Of an exact replay: every payload stands in the plan and in the result."""
_DRAWS = 1000

Vector = tuple[Bytes, ...]
Kept = list[Vector]
Recorded = Replay | Steps


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A scheme, and what it leaves out of the profile, in sentences."""

    scheme: Recorded
    notes: tuple[str, ...]


def proportional(profile: Profile) -> Replayed:
    """The steady messages as a distribution to draw from. Raises SpecError when there is none to send."""
    kept, notes = _with_content(profile)
    times = Counter(kept)
    scheme = Replay(
        name=profile.name,
        sizes=tuple(times),
        counts=tuple(times.values()),
        draws=max(1, min(_DRAWS, MAX_BUFFERS // max(map(len, times)))),
        part=_part(profile),
    )
    return Replayed(scheme=scheme, notes=notes)


def exact(profile: Profile) -> Replayed:
    """The steady messages in their order: whole steps from the first on, as many as MOST_MESSAGES allow. A message that
    got a reply asks for one like it.

    Raises SpecError when there is no message to send, or the first step alone has too many.
    """
    chosen, part = leading(profile, MOST_MESSAGES, "exact")
    chooser = _Chooser(profile, chosen)
    payloads = [chooser.full[profile.messages[place][2]] for place in chooser.sent]
    replies = [chooser.answer_to(place) for place in chooser.sent]
    places, answers = numbered(payloads), numbered(reply for reply in replies if reply is not None)
    begin = profile.messages[chooser.sent[0]][0]
    times = tuple(profile.messages[place][0] - begin for place in chooser.sent)
    scheme = Replay(
        name=profile.name,
        sizes=tuple(places),
        order="exact",
        messages=tuple(places[sizes] for sizes in payloads),
        answers=tuple(answers),
        replies=tuple(ALONE if reply is None else answers[reply] for reply in replies) if answers else (),
        times=times if times[-1] else (),
        part=part,
    )
    return Replayed(scheme=scheme, notes=chooser.notes())


class _Chooser:
    """Which of some messages are sent: requests bring their replies, and what has no content cannot be sent."""

    def __init__(self, profile: Profile, chosen: Sequence[int]) -> None:
        self.full = full(profile)
        self._profile = profile
        self._chosen = chosen
        self._replies = dict(profile.exchanges)
        brought = set(self._replies.values())
        self._content = [place for place in chosen if self.full[profile.messages[place][2]]]
        self.sent = [place for place in self._content if place not in brought]
        if not self.sent:
            raise nothing(profile)

    def answer_to(self, place: int) -> Vector | None:
        reply = self._replies.get(place)
        return None if reply is None else self.full[self._profile.messages[reply][2]]

    def notes(self) -> tuple[str, ...]:
        sent = set(self.sent)
        brought = {self._replies[place] for place in sent & self._replies.keys()}
        replies = set(self._replies.values())
        alone = [place for place in self._chosen if place in replies and place not in brought]
        nothing = [place for place in self._chosen if place not in replies and place not in sent]
        return told(
            {
                "buffers of 0 B are not replayed": sum(map(self._empty, brought.union(self._chosen))),
                "messages without content are not replayed": len(nothing),
                "replies whose requests are not replayed are left out": len(alone),
            }
        )

    def _empty(self, place: int) -> int:
        payload = self._profile.messages[place][2]
        return len(self._profile.payloads[payload]) - len(self.full[payload])


def fidelity(profile: Profile, scheme: Recorded) -> Distance:
    """How far the sizes of the messages that `scheme` has sent are from those of the profile's steady messages.

    Of messages with content: whether those without can be sent again is told in the notes of what is replayed.
    """
    return distance(_full(profile.message_sizes()), _full(message_sizes(scheme)))


def _full(sizes: Counter[int]) -> Counter[int]:
    return Counter({size: times for size, times in sizes.items() if size})


def message_sizes(scheme: Recorded) -> Counter[int]:
    """The bytes of each message that a scheme asks for in one round, recorded replies too, and how often they come."""
    found: Counter[int] = Counter()
    if isinstance(scheme, Steps):
        calls = [call for turn in scheme.turns() for call in turn.calls]
        found.update(sum(scheme.sizes[call.request]) for call in calls)
        found.update(sum(scheme.answers[call.answer]) for call in calls)
    else:
        found.update(payload.total for payload in scheme.payloads())
        found.update(sum(sizes) for sizes in scheme.replied() if sizes is not None)
    return found


def leading(profile: Profile, most: int, order: str) -> tuple[Sequence[int], str]:
    """The places of the first steady messages, in whole steps, as many as `most` allow; and in words which they are.

    Raises SpecError when not even the first step fits.
    """
    steady = [
        place for place, message in enumerate(profile.messages) if not profile.steps or message[3] >= profile.warmup
    ]
    if len(steady) <= most:
        return steady, _part(profile)
    in_step = Counter(profile.messages[place][3] for place in steady)
    steps = [step for step, so_far in zip(sorted(in_step), _sums(in_step), strict=True) if so_far <= most]
    if OUTSIDE in in_step or not steps:
        sentence = (
            f"profile {profile.name} has {len(steady)} messages, and no first steps of at most {most}, "
            f"which is what --order {order} sends; capture for a shorter time, or use --order proportional"
        )
        raise SpecError("order", order, "proportional", sentence)
    chosen = set(steps)
    first, last = min(steps) + 1, max(steps) + 1
    part = f"steps {first} to {last} of {len(profile.steps)}"
    return [place for place in steady if profile.messages[place][3] in chosen], part


def full(profile: Profile) -> list[Vector]:
    """The payloads of a profile without their empty buffers. Raises SpecError when a steady one cannot be sent."""
    for sizes in (profile.payloads[place] for place in {message[2] for message in profile.steady}):
        if len(sizes) > MAX_BUFFERS:
            raise _beyond(profile, f"a message of {len(sizes)} buffers", f"at most {MAX_BUFFERS} can be sent as one")
        if max(sizes, default=0) > MAX_BUFFER:
            raise _beyond(profile, f"a buffer of {max(sizes)} B", f"at most {format_size(MAX_BUFFER)} can be sent")
    return [tuple(size for size in sizes if size) for sizes in profile.payloads]


def numbered(values: Iterable[Vector]) -> dict[Vector, int]:
    """Every different value once, with its place."""
    places: dict[Vector, int] = {}
    for value in values:
        places.setdefault(value, len(places))
    return places


def told(counts: Mapping[str, int]) -> tuple[str, ...]:
    """What there was any of, with how many."""
    return tuple(f"{words}: {count}" for words, count in counts.items() if count)


def _beyond(profile: Profile, has: str, can: str) -> SpecError:
    sentence = f"profile {profile.name} has {has}, and {can}; replay a part of it with --only"
    return SpecError("payload", profile.name, "a profile that can be sent", sentence)


def nothing(profile: Profile) -> SpecError:
    """What is said of a profile with nothing to send."""
    sentence = f"profile {profile.name} has no message with a byte in it: there is nothing to replay"
    return SpecError("payload", profile.name, "a profile with messages", sentence)


def _sums(counts: Counter[int]) -> list[int]:
    return list(accumulate(counts[step] for step in sorted(counts)))


def _with_content(profile: Profile) -> tuple[Kept, tuple[str, ...]]:
    """The payloads of the steady messages without their empty buffers, and without those that are empty then."""
    messages, filled = profile.steady, full(profile)
    empty = sum(len(profile.payloads[message[2]]) - len(filled[message[2]]) for message in messages)
    kept = [filled[message[2]] for message in messages if filled[message[2]]]
    if not kept:
        raise nothing(profile)
    lost = len(messages) - len(kept)
    return kept, told({"buffers of 0 B are not replayed": empty, "messages without content are not replayed": lost})


def _part(profile: Profile) -> str:
    left = len(profile.messages) - len(profile.steady)
    after = f" after {profile.warmup} of warm-up" if profile.warmup else ""
    return f"its {len(profile.steps) - profile.warmup} steps{after}" if left else ""
