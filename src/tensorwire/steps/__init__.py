"""Which training step each message belongs to: told by marks, or found by markers or pauses; in doubt, to none."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

import msgspec

from tensorwire.profile import OUTSIDE, Message, Profile, with_messages
from tensorwire.steps import markers, pauses

By = Literal["auto", "marks", "markers", "gaps", "none"]
Span = tuple[int, int]

ALIKE = 0.1
"""Steps whose bytes differ by no more than this share are of one kind."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How to find steps; how many of the first are warm-up (None: those that differ, and at least the first one); how
    many of the others to keep alone (None: everything is kept)."""

    by: By = "auto"
    warmup: int | None = None
    keep: int | None = None


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """When each step began and ended; of roles that go through their steps by themselves, as many for each."""

    steps: tuple[Span, ...] = ()
    of: Mapping[int, tuple[Span, ...]] = {}
    warmup: int = 0
    notes: tuple[str, ...] = ()

    def step(self, at_ns: int, sender: int, receiver: int) -> int:
        """That of what was sent then, by the sender's own steps or else the receiver's; OUTSIDE if it is in none."""
        spans = self.of.get(sender) or self.of.get(receiver) or self.steps
        place = bisect_right(spans, at_ns, key=lambda span: span[0]) - 1
        return place if place >= 0 and at_ns < spans[place][1] else OUTSIDE

    def steady(self, at_ns: int, sender: int, receiver: int) -> bool:
        """Whether that is in a step after the warm-up, or there are no steps at all."""
        return not self.steps or self.step(at_ns, sender, receiver) >= self.warmup

    def part(self, first: int, end: int) -> "Division":
        """The steps from `first` up to, and without, `end`; none of them is warm-up."""
        of = {role: spans[first:end] for role, spans in self.of.items()}
        return msgspec.structs.replace(self, steps=self.steps[first:end], of=of, warmup=0)


def divide(profile: Profile, marks: Mapping[int, Sequence[int]], wanted: Wanted) -> Division:
    """The steps of a profile that has none yet; `marks` are the times at which roles ended one and began another."""
    found = _find(profile, marks, wanted.by)
    if not found.steps:
        return found
    numbers = _numbers(profile, found)
    sizes = _bytes(profile, numbers, len(found.steps))
    warmup, note = _warmup(sizes, wanted.warmup)
    division = msgspec.structs.replace(found, warmup=warmup, notes=(*found.notes, note))
    if wanted.keep is None:
        return division
    part = division.part(warmup, warmup + wanted.keep)
    kept = f"only {len(part.steps)} of the {len(found.steps) - warmup} steps after the warm-up are in this profile"
    return msgspec.structs.replace(part, notes=(*division.notes, kept))


def divided(profile: Profile, division: Division, wanted: Wanted) -> Profile:
    """The profile with its steps; without what was sent outside of them, where only some are wanted."""
    numbers = _numbers(profile, division)
    messages = tuple((at, by, what, step) for (at, by, what, _), step in zip(profile.messages, numbers, strict=True))
    notes = tuple(sorted({*profile.captured.notes, *division.notes}))
    made = msgspec.structs.replace(
        profile,
        messages=messages,
        steps=division.steps,
        warmup=division.warmup,
        captured=msgspec.structs.replace(profile.captured, notes=notes),
    )
    if wanted.keep is None or not division.steps:
        return made
    return with_messages(made, [place for place, step in enumerate(numbers) if step != OUTSIDE])


def _find(profile: Profile, marks: Mapping[int, Sequence[int]], by: By) -> Division:
    lacking = []
    if by in ("auto", "marks"):
        if found := _by_marks(profile, marks):
            return found
        lacking.append("no process marked any")
    if by in ("auto", "markers"):
        found = _by_markers(profile)
        if found.steps:
            return found
        lacking += found.notes
    if by in ("auto", "gaps"):
        pause = pauses.find(profile, asked=by == "gaps")
        if pause.steps:
            return Division(steps=pause.steps, notes=(pause.note,))
        lacking.append(pause.note)
    return Division(notes=(f"no steps were found: {'; '.join(lacking)}",) if lacking else ())


def _by_marks(profile: Profile, marks: Mapping[int, Sequence[int]]) -> Division | None:
    spans = {role: tuple(pairwise(times)) for role, times in sorted(marks.items()) if len(times) > 1}
    if not spans:
        return None
    return _together(profile, spans, f"steps lie between the marks of {_listed(profile, spans)}")


def _by_markers(profile: Profile) -> Division:
    found = markers.find(profile)
    if not found.spans:
        return Division(notes=(found.note,))
    return _together(profile, found.spans, f"steps were found by the {found.note}")


def _together(profile: Profile, spans: Mapping[int, tuple[Span, ...]], note: str) -> Division:
    """As many steps as the role with the fewest has; of the others, the first ones."""
    first = min(spans, key=lambda role: profile.roles[role])
    count = min(map(len, spans.values()))
    notes = [note]
    if over := {role: len(each) - count for role, each in spans.items() if len(each) > count}:
        more = ", ".join(f"{more} of {profile.roles[role]}" for role, more in over.items())
        notes.append(f"steps without a counterpart in every role are left out: {more}")
    if len(spans) > 1:
        notes.append(f"each step holds one of every role; the times of steps are those of {profile.roles[first]}")
    of = {role: each[:count] for role, each in spans.items()}
    return Division(steps=of[first], of=of, notes=tuple(notes))


def _numbers(profile: Profile, division: Division) -> list[int]:
    """The step of each message; a reply belongs to that of its request."""
    found = [_number(profile, message, division) for message in profile.messages]
    for request, reply in profile.exchanges:
        found[reply] = found[request]
    return found


def _number(profile: Profile, message: Message, division: Division) -> int:
    stream = profile.streams[message[1]]
    return division.step(message[0], stream.sender, stream.receiver)


def _bytes(profile: Profile, numbers: Sequence[int], count: int) -> list[int]:
    totals = [sum(sizes) for sizes in profile.payloads]
    found: Counter[int] = Counter()
    for message, step in zip(profile.messages, numbers, strict=True):
        found[step] += totals[message[2]]
    return [found[step] for step in range(count)]


def _warmup(sizes: Sequence[int], asked: int | None) -> tuple[int, str]:
    """So many first steps are warm-up; with the sentence that says so."""
    most = len(sizes) - 1
    if asked is not None:
        short = f", not the {asked} asked for: there are only {len(sizes)} steps" if asked > most else ""
        return min(asked, most), f"warm-up: the first {min(asked, most)} steps, as asked{short}"
    count = min(1, most)
    while count < most and abs(sizes[count] - (middle := median(sizes[count + 1 :]))) > ALIKE * middle:
        count += 1
    if count > len(sizes) // 2:
        count = min(1, most)
        return count, f"warm-up: the first {count} steps; the bytes of later ones vary by more than 10 %"
    return count, f"warm-up: the first {count} of {len(sizes)} steps"


def _listed(profile: Profile, roles: Mapping[int, object]) -> str:
    return ", ".join(sorted(profile.roles[role] for role in roles))
