"""Whatever happens to the segments of a byte string, it comes back, or the holes in it are told; nothing is made up."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.imports.pcap.reassembly import Flow
from tensorwire.imports.pcap.values import Piece
from tests import captures

numbers = st.integers(0, 2**32 - 1)
places = st.lists(st.integers(0, 2**20), max_size=30)
content = st.binary(min_size=1, max_size=400)


class Seen(msgspec.Struct):
    """What came out: the bytes, with None for each that is missing or cut."""

    got: list[int | None] = msgspec.field(default_factory=list)
    holes: int = 0

    def take(self, piece: Piece) -> None:
        self.got += [*piece.data, *([None] * (piece.length - len(piece.data)))]

    def hole(self, count: int, at_ns: int) -> None:
        assert count > 0
        self.holes += count
        self.got += [None] * count


def piece(data: bytes, length: int | None = None) -> Piece:
    return Piece(0, memoryview(data), len(data) if length is None else length, False)


def parts(data: bytes, ends: list[int]) -> list[tuple[int, bytes]]:
    found, at = [], 0
    for part in captures.cuts(data, ends):
        found.append((at, part))
        at += len(part)
    return found


@given(data=content, ends=places, first=numbers, draw=st.data())
def test_order_repetition_and_overlap_do_not_matter(data: bytes, ends: list[int], first: int, draw: Any) -> None:
    whole = parts(data, ends)
    overlapping = draw.draw(
        st.lists(st.tuples(st.integers(0, len(data)), st.integers(0, len(data))).map(sorted).map(tuple), max_size=8)
    )
    segments = whole + whole[: len(whole) // 2] + [(a, data[a:b]) for a, b in overlapping]
    seen = Seen()
    flow = Flow(seen)
    flow.begin(first)
    for at, part in draw.draw(st.permutations(segments)):
        flow.take((first + at) % 2**32, piece(part))
    flow.finish(0)
    assert (bytes(seen.got), seen.holes) == (data, 0)  # type: ignore[arg-type]


@given(data=content, ends=places, first=numbers, draw=st.data())
def test_what_is_dropped_is_told(data: bytes, ends: list[int], first: int, draw: Any) -> None:
    segments = parts(data, ends)
    kept = draw.draw(st.lists(st.booleans(), min_size=len(segments), max_size=len(segments)))
    seen = Seen()
    flow = Flow(seen)
    flow.begin(first)
    for (at, part), keep in zip(segments, kept, strict=True):
        if keep:
            flow.take((first + at) % 2**32, piece(part))
        flow.acknowledge((first + at + len(part)) % 2**32, 0)
    if draw.draw(st.booleans()):
        flow.end((first + len(data)) % 2**32)
        flow.sent((first + len(data) + 1) % 2**32)
    else:
        flow.sent((first + len(data)) % 2**32)
    flow.finish(0)
    if len(seen.got) == len(data) - 1 and not segments[-1][1][1:] and not kept[-1]:
        seen.got.append(None)  # one byte that was acknowledged may as well be the end
        seen.holes += 1
    true = [byte if keep else None for (_, part), keep in zip(segments, kept, strict=True) for byte in part]
    assert seen.got == true
    assert seen.holes == true.count(None)


@given(data=content, ends=places, draw=st.data())
def test_cut_segments_have_their_length(data: bytes, ends: list[int], draw: Any) -> None:
    segments = parts(data, ends)
    seen = Seen()
    flow = Flow(seen)
    flow.begin(0)
    for at, part in draw.draw(st.permutations(segments)):
        flow.take(at, piece(part[:3], len(part)))
    flow.finish(0)
    assert seen.got == [byte if place < 3 else None for _, part in segments for place, byte in enumerate(part)]
    assert seen.holes == 0


@given(st.data())
def test_any_segments_at_all_give_each_byte_at_most_once(draw: Any) -> None:
    seen = Seen()
    flow = Flow(seen)
    flow.begin(0)
    most = 0
    for at, length, answer in draw.draw(
        st.lists(st.tuples(st.integers(0, 300), st.integers(1, 50), st.integers(0, 400)), max_size=60)
    ):
        flow.take(at, piece(bytes(i % 256 for i in range(at, at + length))))
        flow.acknowledge(answer, 0)
        most = max(most, at + length, answer)
    flow.finish(0)
    assert len(seen.got) <= most
    assert all(byte in (None, place % 256) for place, byte in enumerate(seen.got))


def test_keep_alives_say_nothing_new() -> None:
    seen = Seen()
    flow = Flow(seen)
    flow.begin(1000)
    flow.take(1000, piece(b"abc"))
    flow.take(1002, piece(b"\0"))
    flow.take(1003, piece(b"def"))
    assert bytes(seen.got) == b"abcdef"  # type: ignore[arg-type]


def test_a_hole_is_told_as_soon_as_it_is_certain() -> None:
    seen = Seen()
    flow = Flow(seen)
    flow.begin(0)
    flow.take(10, piece(b"after"))
    for _ in range(1000):
        flow.acknowledge(0, 0)
    assert seen.got == []  # it may still come
    flow.acknowledge(15, 0)
    assert seen.got == []  # the capture may have it a little later
    for _ in range(1000):
        flow.acknowledge(15, 0)
    assert seen.got == [None] * 10 + list(b"after")


def test_what_waits_is_limited() -> None:
    taken: list[int] = []

    class Counted(Seen):
        def take(self, piece: Piece) -> None:
            taken.append(piece.length)

    seen = Counted()
    flow = Flow(seen)
    flow.begin(0)
    for number in range(66):
        flow.take(100 + (number << 20), piece(b"", 1 << 20))
        assert len(taken) == (0 if number < 64 else number + 1)
    assert seen.holes == 100


def test_the_end_is_no_missing_byte() -> None:
    for told in (True, False):
        seen = Seen()
        flow = Flow(seen)
        flow.begin(0)
        flow.take(0, piece(b"abc"))
        if told:
            flow.end(3)
        flow.acknowledge(4, 0)
        flow.finish(0)
        assert seen.holes == 0
