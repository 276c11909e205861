"""Entries: the cases of all results with their numbers, and what to call them so that no two are taken for one."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from msgspec import Struct

from tensorwire import registry
from tensorwire.case import NEVER_ALIKE, Case, cases, condition_names, differences
from tensorwire.errors import SpecError
from tensorwire.matching import widened
from tensorwire.metrics import CATALOGUE, Estimate, estimate
from tensorwire.recorded import Replay, Steps
from tensorwire.result import Result
from tensorwire.sample import Sample
from tensorwire.units import format_duration, format_size

_SHORT = {"in_flight": "in flight", "bytes": "size"}
_TOO_LONG = 48  # characters of a condition that stands in a name
_BARE = ("benchmark", "channel", "payload", "bytes", "mode")
"""Traits whose values need no name in front."""


class Entry(Struct, frozen=True, kw_only=True, dict=True):
    """A case and all its numbers; `dict` has those."""

    case: Case

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """The metrics that have a value, by name."""
        found = {name: estimate(metric, self.case.samples) for name, metric in CATALOGUE.items()}
        return {name: each for name, each in found.items() if each is not None}

    @property
    def measured(self) -> tuple[Sample, ...]:
        """The repetitions that have a measurement."""
        return tuple(sample for sample in self.case.samples if sample is not None)

    @property
    def benchmark(self) -> str:
        return self.case.result.spec.benchmark

    @property
    def channel(self) -> str:
        return self.case.result.spec.channel

    @property
    def swept(self) -> bool:
        """Whether its payload is one of a sweep over sizes."""
        return bool(self.case.result.spec.sizes)

    @property
    def stepped(self) -> bool:
        return isinstance(self.case.result.spec.payload, Steps)

    @property
    def size(self) -> str:
        """The payload bytes of a call; ~ their mean, where they differ."""
        several = len(set(self.case.result.points[self.case.point].totals)) > 1
        return f"{'~' if several else ''}{format_size(self.case.total_bytes)}"

    @property
    def payload(self) -> str:
        """Such as "uniform, 4.03 MB"; of a sweep the size alone."""
        return self.size if self.swept else f"{self.case.scheme}, {self.size}"

    @property
    def named(self) -> str:
        """What it sends, in a sentence."""
        payload = self.case.result.spec.payload
        if self.swept:
            return f"a payload of {self.size}"
        if isinstance(payload, Replay | Steps):
            return f"the messages of {self.case.scheme}"
        return f"the {payload.__struct_config__.tag} payload ({self.size})"

    @property
    def headline(self) -> str:
        """The metric that sums it up."""
        if self.stepped:
            return "step_p50"
        try:
            return registry.benchmark(self.benchmark).headline
        except SpecError:  # of a benchmark that is not installed here
            return "rtt_p50"

    def median(self, metric: str) -> float | None:
        found = self.estimates.get(metric)
        return None if found is None else found.interval.median


def entries(results: Sequence[Result]) -> tuple[Entry, ...]:
    """Results under the same conditions are repetitions of one entry."""
    return tuple(Entry(case=case) for case in cases(results))


def alike_but(one: Entry, other: Entry, *conditions: str) -> bool:
    """Whether two entries differ in nothing but these conditions and what follows from them."""
    return widened(conditions).issuperset(differences(one.case, other.case))


def groups(found: Iterable[Entry], alike: Callable[[Entry, Entry], bool]) -> list[list[Entry]]:
    """Each entry with the first group whose first member is alike."""
    grouped: list[list[Entry]] = []
    for each in found:
        home = next((group for group in grouped if alike(group[0], each)), None)
        if home is None:
            grouped.append([each])
        else:
            home.append(each)
    return grouped


def by_benchmark(found: Iterable[Entry]) -> dict[str, list[Entry]]:
    grouped: dict[str, list[Entry]] = {}
    for each in found:
        grouped.setdefault(each.benchmark, []).append(each)
    return grouped


def labels(found: Sequence[Entry], without: Sequence[str] = ()) -> list[str]:
    """What tells each from the others: its channel, then the traits that differ; of those alike in all, other
    conditions; a number where nothing does. Traits `without` stand elsewhere, such as on an axis: entries may share a
    label there."""
    traits = [_traits(each) for each in found]
    names = dict.fromkeys(name for each in traits for name in each)
    telling = [name for name in names if len({each.get(name) for each in traits}) > 1 and name not in without]
    telling = [name for name in dict.fromkeys(["channel", *telling]) if name not in without]
    told = [", ".join(_trait(name, each[name]) for name in telling if each.get(name)) for each in traits]
    return _distinct(found, told, without)


def _traits(entry: Entry) -> dict[str, str]:
    traits = entry.case.traits()
    traits["bytes"] = entry.size
    traits.pop("buffers")
    traits.pop("benchmark")
    if entry.swept:
        traits.pop("payload")
    return traits


def _trait(name: str, value: str) -> str:
    return value if name in _BARE else f"{_SHORT.get(name, name)} {value}"


def _distinct(found: Sequence[Entry], told: Sequence[str], without: Sequence[str]) -> list[str]:
    """Labels that are the same although their entries are not get the conditions that differ."""
    aside = _aside(without)
    lines = list(told)
    for name in (each for each in condition_names() if each not in aside):
        same = [[k for k in range(len(lines)) if lines[k] == line] for line in dict.fromkeys(lines)]
        for places in same:
            members = [found[k].case for k in places]
            if any(name in _differ(members[0], other, aside) for other in members[1:]):
                for k in places:
                    lines[k] = ", ".join(filter(None, (lines[k], _condition(name, found[k].case, members))))
    return lines


def _differ(one: Case, other: Case, aside: set[str]) -> set[str]:
    """The conditions in which two differ; none where they differ in what is told elsewhere."""
    apart = set(differences(one, other))
    return set() if apart & aside & {"payload", "pattern"} else apart


def _condition(name: str, case: Case, members: Sequence[Case]) -> str:
    """A condition in a few words: of several values those that differ among the members."""
    value = case.conditions[name]
    if not isinstance(value, dict):
        return f"{name} {case.says(name)}"[:_TOO_LONG]
    keys = [key for key in value if any(each.conditions[name].get(key) != value[key] for each in members)]
    if name == "host" and "name" in keys:
        return f"{value['name']}"
    timed = name == "time"
    words = [f"{key} {format_duration(value[key]) if timed and key != 'calls' else value[key]}" for key in keys]
    return ", ".join(words) if timed else f"{name} {' '.join(words)}"[:_TOO_LONG]


def _aside(without: Sequence[str]) -> set[str]:
    """The conditions that traits come from."""
    places = {"payload": "payload", "bytes": "payload", "ranks": "pattern"}
    return set(widened({places.get(name, name) for name in without})) | set(NEVER_ALIKE)
