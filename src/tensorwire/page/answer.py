"""The sentences above everything else: what the results say, every number in them computed."""

from collections.abc import Sequence

from msgspec import Struct

from tensorwire.compare import FEWEST, values
from tensorwire.metrics import CATALOGUE
from tensorwire.page import words
from tensorwire.page.entries import Entry, alike_but
from tensorwire.stats import Interval, ratio_interval

STILL = ("null",)
"""Channels that move nothing: they win no race."""

_DOES = {
    "bandwidth": "moves {payload}",
    "rpcs": "completes calls with {payload}",
    "rtt_p50": "brings {payload} there and back",
    "rtt_mean": "brings {payload} there and back",
    "step_p50": "moves the traffic of a training step ({payload})",
}
_ALIKE = 1.01  # a ratio below it is said to be none
_RANKED = ("step_p50", "bandwidth", "rtt_p50", "rpcs", "rtt_mean")
"""Headlines, the one that tells most first."""


class Contrast(Struct, frozen=True, kw_only=True):
    """Two entries that differ in their channel alone: how many times as fast the one is as the other."""

    fast: Entry
    slow: Entry
    metric: str
    ratio: float
    interval: Interval | None

    @property
    def certain(self) -> bool:
        """Whether there are repetitions enough, and their interval leaves no doubt which is faster."""
        return self.interval is not None and self.interval.low > 1


class Answer(Struct, frozen=True, kw_only=True):
    """The sentence, and those that say more."""

    sentence: str
    more: tuple[str, ...]


def answer(entries: Sequence[Entry]) -> Answer:
    """Of channels held against each other where there are several, else of the payloads of one."""
    found = [each for each in entries if each.headline in each.estimates and each.channel not in STILL]
    if not found:
        points = words.count(len(entries), "point")
        nothing = f"These results answer nothing: of {points} none was measured over a channel that moves bytes."
        return Answer(sentence=nothing, more=())
    contrasts = _contrasts(found)
    if not contrasts:
        return _alone(found)
    first = min(contrasts, key=_rank)
    same = [each for each in contrasts if (each.fast.channel, each.slow.channel) == _channels(first)]
    reverse = [each for each in contrasts if (each.slow.channel, each.fast.channel) == _channels(first)]
    return Answer(
        sentence=_sentence(first, found, len(reverse), len(same) + len(reverse)),
        more=(*_evidence(first), *_range(first, same, reverse), *_cost(first)),
    )


def contrast(one: Entry, other: Entry) -> Contrast | None:
    """The two by the metric that sums them up, the faster first; None where they are no match or one has no value."""
    metric = one.headline
    ours, theirs = values(one.case, CATALOGUE[metric]), values(other.case, CATALOGUE[metric])
    if one.channel == other.channel or not alike_but(one, other, "channel") or min((*ours, *theirs), default=0) <= 0:
        return None
    if not ours or not theirs:
        return None
    higher = CATALOGUE[metric].better == "higher"
    first, second = one.estimates[metric].interval.median, other.estimates[metric].interval.median
    fast, slow = (one, other) if (first >= second) == higher else (other, one)
    sides = [values(each.case, CATALOGUE[metric]) for each in (fast, slow)]
    over, under = sides if higher else sides[::-1]
    enough = min(len(ours), len(theirs)) >= FEWEST
    return Contrast(
        fast=fast,
        slow=slow,
        metric=metric,
        ratio=max(first, second) / min(first, second),
        interval=ratio_interval(under, over) if enough else None,
    )


def _contrasts(found: Sequence[Entry]) -> list[Contrast]:
    made = (contrast(one, other) for place, one in enumerate(found) for other in found[place + 1 :])
    return [each for each in made if each is not None]


def _rank(each: Contrast) -> tuple[object, ...]:
    """What is closest to a real job first: steps, then many buffers of mixed sizes, the larger before the smaller."""
    metric = _place(each.metric)
    return metric > 0, each.fast.swept, metric, -each.fast.case.total_bytes, -each.ratio


def _channels(each: Contrast) -> tuple[str, str]:
    return each.fast.channel, each.slow.channel


def _where(found: Sequence[Entry]) -> str:
    hosts = {each.case.result.environment.host for each in found}
    return "On this host" if len(hosts) == 1 else "Here"


def _sentence(found: Contrast, entries: Sequence[Entry], lost: int, of: int) -> str:
    """What was found, and in how many of the measurements the slower one is the faster."""
    fast, slow = (words.median(each.estimates[found.metric]) for each in (found.fast, found.slow))
    one, other = found.fast.channel, found.slow.channel
    does = _does(found.fast, found.metric)
    if found.interval is not None and not found.certain:
        both = f"{one} {does} {_at(found.metric)} {fast}, {other} {_at(found.metric)} {slow}"
        return f"{_where(entries)} {one} and {other} cannot be told apart: {both}."
    if found.ratio < _ALIKE:
        both = f"{does} {_at(found.metric)} {fast}, {other} {_at(found.metric)} {slow}"
        return f"{_where(entries)} {one} and {other} are within 1 % of each other: {one} {both}."
    but = f", but {other} is the faster one in {lost} of {of} measurements" if lost else ""
    much = f"{words.ratio(found.ratio)} times as fast as {other}, {fast} against {slow}"
    return f"{_where(entries)} {one} {does} {much}{but}."


def _at(metric: str) -> str:
    return "at" if CATALOGUE[metric].better == "higher" else "in"


def _does(entry: Entry, metric: str) -> str:
    name = entry.case.scheme if metric == "step_p50" else entry.named
    return _DOES.get(metric, "is, with {payload},").replace("{payload}", name)


def _evidence(found: Contrast) -> list[str]:
    """Which number that is, and what it rests on."""
    counts = sorted({len(each.measured) for each in (found.fast, found.slow)})
    runs = f"{' and '.join(map(str, counts))} repetitions"
    number = f"That is {found.fast.benchmark}, {words.plain(found.metric)}"
    if counts == [1]:
        return [f"{number}, one repetition each: nothing tells how far the next would be from it."]
    if found.interval is None:
        return [f"{number}, the medians of {runs}: fewer than {FEWEST} on each side do not prove which is faster."]
    low, high = words.ratio(found.interval.low), words.ratio(found.interval.high)
    return [f"{number}, over {runs}; the 95 % interval of the ratio is {low} to {high}."]


def _range(first: Contrast, same: Sequence[Contrast], reverse: Sequence[Contrast]) -> list[str]:
    """The same two channels over everything that both did."""
    ratios = [each.ratio for each in same] + [1 / each.ratio for each in reverse]
    if len(ratios) < 2:
        return []
    low, high = words.ratio(min(ratios)), words.ratio(max(ratios))
    both = f"{first.fast.channel} is {low} to {high} times as fast as {first.slow.channel}"
    return [f"Over the {len(ratios)} measurements that both have, {both}."]


def _cost(found: Contrast) -> list[str]:
    """What either takes of the processors."""
    costs = [each.estimates.get("cpu_per_gb") for each in (found.fast, found.slow)]
    if None in costs:
        return []
    names = (found.fast.channel, found.slow.channel)
    told = " and ".join(f"{name} {words.median(cost)}" for name, cost in zip(names, costs, strict=True))
    busy = [f"{each.channel} keeps {kept} busy" for each in (found.fast, found.slow) if (kept := _busy(each))]
    return [f"A GB moved costs {told} of CPU time; {', '.join(busy)}."]


def _busy(entry: Entry) -> str:
    """The cores that all ranks together keep busy, of those of the host."""
    used = entry.median("cores_busy")
    return f"{words.digits(used)} of {words.count(len(entry.case.result.environment.cores), 'core')}" if used else ""


def _alone(found: Sequence[Entry]) -> Answer:
    """Of one channel, or of several that did nothing alike, the measurement that tells most."""
    first = min(found, key=lambda each: (_place(each.headline), each.swept, -each.case.total_bytes))
    told = words.median(first.estimates[first.headline])
    sentence = f"{_where(found)} {first.channel} {_does(first, first.headline)} {_at(first.headline)} {told}"
    if (share := first.estimates.get("network_share")) is not None:
        sentence += f", {words.median(share)} of the time that the recorded step took"
    runs = words.count(len(first.measured), "repetition")
    more = [f"That is {first.benchmark}, {words.plain(first.headline)}, {runs}."]
    if (cost := first.estimates.get("cpu_per_gb")) is not None:
        busy = f"; the ranks keep {kept} busy" if (kept := _busy(first)) else ""
        more.append(f"A GB moved costs {words.median(cost)} of CPU time{busy}.")
    return Answer(sentence=f"{sentence}.", more=tuple(more))


def _place(metric: str) -> int:
    return _RANKED.index(metric) if metric in _RANKED else len(_RANKED)
