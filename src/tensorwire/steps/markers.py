"""TensorFlow's steps: with each, whoever drives it asks its servers to run their part of the graph.

A TF1 session sends `RunGraph` to every other task that its graph is placed on, and waits for all; a worker of TF2's
parameter-server strategy sends `RunComponentFunction`. These requests together are a burst; between the last of their
replies and the next burst the driver rests.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from tensorwire.profile import MEDIUM_FROM, Profile, last_word

MARKERS = ("RunGraph", "RunComponentFunction")

_ALIKE = 1.1  # the bytes of two steps of one kind, next to each other by bytes, have no larger ratio
_LEAST_SHARE = 0.1  # of what the busiest driver, or the busier direction, does
_FEWEST = 2

Span = tuple[int, int]


class Markers(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of each role that drives some, and in words how they were found or why there are none."""

    spans: Mapping[int, tuple[Span, ...]]
    note: str


class _Burst(msgspec.Struct, kw_only=True):
    """Requests to different servers, from the first to the last reply."""

    begin: int
    end: int
    servers: set[int]


class _Window(msgspec.Struct, frozen=True, kw_only=True):
    """What one driver sent and was sent from one burst to the next; `kinds` are those of its larger messages."""

    driver: int
    span: Span
    sent: int
    received: int
    kinds: frozenset[tuple[bool, str, str]]

    @property
    def bytes(self) -> int:
        return self.sent + self.received

    @property
    def both_ways(self) -> bool:
        return min(self.sent, self.received) >= _LEAST_SHARE * max(self.sent, self.received, 1)


def find(profile: Profile) -> Markers:
    """The steps that TensorFlow's requests mark: of the kinds of sessions that it ran, the one that trains."""
    bursts = _bursts(profile)
    if not bursts:
        return Markers(spans={}, note="no TensorFlow task asked another to run its part of a graph")
    windows = [window for driver, each in bursts.items() for window in _windows(profile, driver, each)]
    kinds = [kind for kind in _kinds(_of_busiest(windows)) if len(kind) >= _FEWEST]
    if not kinds:
        return Markers(spans={}, note="no two of TensorFlow's sessions moved the same bytes")
    chosen = max(kinds, key=lambda kind: (kind[0].both_ways, sum(window.bytes for window in kind)))
    by_driver: dict[int, list[Span]] = defaultdict(list)
    for window in sorted(chosen, key=lambda window: window.span):
        by_driver[window.driver].append(window.span)
    most = max(map(len, by_driver.values()))
    spans = {driver: tuple(each) for driver, each in sorted(by_driver.items()) if len(each) >= _LEAST_SHARE * most}
    names = ", ".join(sorted(profile.roles[driver] for driver in spans))
    others = sum(len(each) for driver, each in bursts.items() if driver in spans) - sum(map(len, spans.values()))
    words = {last_word(stream.method) for stream in profile.streams if stream.sender in spans}
    asked = " and ".join(word for word in MARKERS if word in words)
    note = f"requests {asked} of {names}; other sessions, and the last one, left out: {others}"
    return Markers(spans=spans, note=note)


def _bursts(profile: Profile) -> dict[int, list[_Burst]]:
    """Of each driver. A burst is over when all of its requests are answered, or when a server is asked again."""
    answered = {request: profile.messages[reply][0] for request, reply in profile.exchanges}
    found: dict[int, list[_Burst]] = defaultdict(list)
    for place, (at, number, _, _) in enumerate(profile.messages):
        stream = profile.streams[number]
        if stream.kind != "request" or last_word(stream.method) not in MARKERS:
            continue
        of_driver = found[stream.sender]
        if not of_driver or stream.receiver in of_driver[-1].servers or of_driver[-1].end < at:
            of_driver.append(_Burst(begin=at, end=at, servers=set()))
        of_driver[-1].servers.add(stream.receiver)
        of_driver[-1].end = max(of_driver[-1].end, answered.get(place, at))
    return found


def _windows(profile: Profile, driver: int, bursts: Sequence[_Burst]) -> Iterator[_Window]:
    """From each burst to the next one; the last is left out, since nobody knows where it ended."""
    asked_at = {reply: profile.messages[request][0] for request, reply in profile.exchanges}
    own = list(_of_driver(profile, driver))
    times = [at for _, at, _, _ in own]
    early = _answered_in_bursts(profile, {place for place, *_ in own}, bursts)
    cuts = [bursts[0].begin, *(_cut(times, early, before, after) for before, after in pairwise(bursts))]
    asked = sorted((asked_at.get(place, at), by, size) for place, at, by, size in own)
    for begin, end in pairwise(cuts):
        first, last = (bisect_left(asked, cut, key=lambda each: each[0]) for cut in (begin, end))
        yield _window(profile, driver, (begin, end), [(by, size) for _, by, size in asked[first:last]])


def _of_driver(profile: Profile, driver: int) -> Iterator[tuple[int, int, int, int]]:
    """Place, time, stream and bytes of every message that the driver sent or was sent."""
    totals = [sum(sizes) for sizes in profile.payloads]
    ours = [driver in (stream.sender, stream.receiver) for stream in profile.streams]
    for place, (at, by, what, _) in enumerate(profile.messages):
        if ours[by]:
            yield place, at, by, totals[what]


def _window(profile: Profile, driver: int, span: Span, messages: Sequence[tuple[int, int]]) -> _Window:
    streams = profile.streams
    large = {by for by, size in messages if size >= MEDIUM_FROM}
    return _Window(
        driver=driver,
        span=span,
        sent=sum(size for by, size in messages if streams[by].sender == driver),
        received=sum(size for by, size in messages if streams[by].sender != driver),
        kinds=frozenset((streams[by].sender == driver, streams[by].kind, streams[by].method) for by in large),
    )


def _cut(times: Sequence[int], early: Sequence[int], before: _Burst, after: _Burst) -> int:
    """Where the longest pause between two bursts ends, or where a task asks for a tensor before it: it may do so as
    soon as its session runs, while the servers are still asked to run their part."""
    if before.end >= after.begin:
        return after.begin
    first, last = bisect_right(times, before.end), bisect_left(times, after.begin)
    between = [before.end, *times[first:last], after.begin]
    longest = max(range(1, len(between)), key=lambda place: between[place] - between[place - 1])
    asked = bisect_right(early, before.end)
    return min([between[longest], *early[asked : asked + 1]])


def _answered_in_bursts(profile: Profile, own: Container[int], bursts: Sequence[_Burst]) -> list[int]:
    """When the driver or its servers asked for what is answered within bursts, more often than not."""
    begins = [burst.begin for burst in bursts]
    inside: dict[int, int] = defaultdict(int)
    asked = [
        (*profile.messages[request][:2], profile.messages[reply][0])
        for request, reply in profile.exchanges
        if request in own
    ]
    for _, by, at in asked:
        place = bisect_right(begins, at) - 1
        inside[by] += 1 if place >= 0 and at <= bursts[place].end else -1
    return [at for at, by, _ in asked if inside[by] > 0]


def _of_busiest(windows: Sequence[_Window]) -> list[_Window]:
    """Without those drivers that move few bytes, such as a chief that only tells workers what to do."""
    moved: dict[int, int] = defaultdict(int)
    for window in windows:
        moved[window.driver] += window.bytes
    most = max(moved.values(), default=0)
    return [window for window in windows if moved[window.driver] >= _LEAST_SHARE * most]


def _kinds(windows: Sequence[_Window]) -> Iterator[list[_Window]]:
    """Windows with the same kinds of larger messages, and bytes that are alike."""
    groups: dict[frozenset[tuple[bool, str, str]], list[_Window]] = defaultdict(list)
    for window in windows:
        groups[window.kinds].append(window)
    for group in groups.values():
        group.sort(key=lambda window: window.bytes)
        kind = [group[0]]
        for window in group[1:]:
            if window.bytes > kind[-1].bytes * _ALIKE:
                yield kind
                kind = []
            kind.append(window)
        yield kind
