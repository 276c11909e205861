"""Which case of one side is held against which of the other, and why the rest is not."""

from collections.abc import Collection, Sequence

from msgspec import Struct

from tensorwire.case import NEVER_ALIKE, Case, apart, differences
from tensorwire.errors import SpecError
from tensorwire.result import Result

# What cannot be alike where the first is not: to allow that is to allow them.
_FOLLOWS = {"channel": ("options", "transport", "congestion", "interface")}
_VOLATILE = ("memory_available", "load_average")


class Difference(Struct, frozen=True, kw_only=True):
    """A condition that is not alike on both sides, in words."""

    condition: str
    base: str
    new: str

    def __str__(self) -> str:
        return f"{self.condition} differs ({self.base} | {self.new})"


class Refusal(Struct, frozen=True, kw_only=True):
    """Two cases that may not be held against each other."""

    base: Case
    new: Case
    differences: tuple[Difference, ...]


class Pair(Struct, frozen=True):
    """Two cases that may be held against each other."""

    base: Case
    new: Case


class Matched(Struct, frozen=True, kw_only=True):
    """The pairs, and the cases of either side that have no partner."""

    pairs: tuple[Pair, ...]
    only_base: tuple[Case, ...]
    only_new: tuple[Case, ...]


def widened(allowed: Collection[str]) -> frozenset[str]:
    """The conditions that may differ, with those that follow from them."""
    return frozenset(allowed).union(*(_FOLLOWS.get(name, ()) for name in allowed))


def match(base: Sequence[Case], new: Sequence[Case], allowed: Collection[str]) -> Matched:
    """Each case with the one that is alike, then with one that differs in nothing but what is allowed."""
    partners: dict[int, Case] = {}
    left = list(new)
    for tolerated in (frozenset[str](), frozenset(allowed)):
        for i, one in enumerate(base):
            alike = [k for k, other in enumerate(left) if tolerated.issuperset(differences(one, other))]
            if i not in partners and alike:
                partners[i] = left.pop(alike[0])
    return Matched(
        pairs=tuple(Pair(base[i], partners[i]) for i in sorted(partners)),
        only_base=tuple(one for i, one in enumerate(base) if i not in partners),
        only_new=tuple(left),
    )


def refuse(
    matched: Matched, allowed: Collection[str]
) -> tuple[tuple[Refusal, ...], tuple[Case, ...], tuple[Case, ...]]:
    """Of what has no partner: what has nearly one, and what stands on one side only."""
    left = list(matched.only_new)
    refusals, alone = [], []
    for one in matched.only_base:
        near = [other for other in left if not set(NEVER_ALIKE) & set(differences(one, other))]
        if near:
            other = min(near, key=lambda each: len(differences(one, each)))
            left.remove(other)
            refusals.append(Refusal(base=one, new=other, differences=_told(one, other, allowed)))
        else:
            alone.append(one)
    return tuple(refusals), tuple(alone), tuple(left)


def _told(one: Case, other: Case, allowed: Collection[str]) -> tuple[Difference, ...]:
    names = [name for name in differences(one, other) if name not in allowed]
    return tuple(_difference(one, other, name) for name in names)


def _difference(one: Case, other: Case, condition: str) -> Difference:
    base, new = apart(one, other, condition)
    return Difference(condition=condition, base=base, new=new)


def nothing_alike(base: Sequence[Case], new: Sequence[Case], allowed: Collection[str]) -> SpecError:
    """The error when no case has a partner: what keeps the two that are nearest to each other apart."""
    one, other = min(
        ((one, other) for one in base for other in new),
        key=lambda pair: (len(set(NEVER_ALIKE) & set(differences(*pair))), len(differences(*pair))),
    )
    told = _told(one, other, allowed)
    sentence = f"nothing here may be compared: {'; '.join(map(str, told))}"
    if not any(difference.condition in NEVER_ALIKE for difference in told):
        names = [difference.condition for difference in told]
        first = [name for name in names if not any(name in _FOLLOWS.get(other, ()) for other in names)]
        flags = " ".join(f"--allow different-{name}" for name in first)
        sentence += f"; if that is what you mean to compare, add {flags}"
    return SpecError("new", other.words(), f"a result like {one.words()}", sentence)


def flagged(pairs: Sequence[Pair], base: Sequence[Result], new: Sequence[Result]) -> tuple[Difference, ...]:
    """What was allowed to differ; then what is no condition, such as a version, but may be the reason."""
    allowed = {
        (found := _difference(pair.base, pair.new, name)).condition + found.base + found.new: found
        for pair in pairs
        for name in differences(pair.base, pair.new)
    }
    before, after = (_surroundings(side) for side in (base, new))
    others = [
        Difference(condition=name, base=before.get(name, "none"), new=after.get(name, "none"))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return (*allowed.values(), *others)


def _surroundings(side: Sequence[Result]) -> dict[str, str]:
    """Facts about the host and versions, of all results of a side together."""
    found: dict[str, dict[str, None]] = {}
    for result in side:
        here = result.environment
        told = {
            **here.facts,
            **here.versions,
            "tensorwire": result.tensorwire,
            "kernel": here.kernel,
            "memory": f"{here.memory_bytes} B",
        }
        for name, value in told.items():
            if name not in _VOLATILE:
                found.setdefault(name, {})[value] = None
    return {name: "/".join(sorted(each)) for name, each in found.items()}
