"""What is concluded from blocks of a job that was watched and not watched by turns."""

import json
from itertools import count
from pathlib import Path

import pytest

from tensorwire.cost import Block, Cost, Own, busiest, control, order, paired, share, verdict
from tensorwire.instruments.tap_log import Counters
from tensorwire.instruments.taps import Process
from tensorwire.instruments.trial import Times, Trial
from tensorwire.report.cost import as_json, as_text
from tensorwire.units import Bytes, Nanoseconds

SECOND = 1_000_000_000


def block(on: bool, sent: int, row: int = 0, ns: int = SECOND) -> Block:
    return Block(row=row, on=on, ns=Nanoseconds(ns), sent=Bytes(sent))


def rows(number: int, on: int, off: int, noise: int = 0) -> tuple[Block, ...]:
    """Rows of a job that sends so many bytes a second, of which every second block has some more."""
    return tuple(
        block(watched, (on if watched else off) + noise * ((place + row) % 2), row)
        for row in range(number)
        for place, watched in enumerate(order())
    )


def cost(*blocks: Block, own: tuple[Own, ...] = ()) -> Cost:
    return Cost(least=20, blocks=blocks, own=own)


def test_a_row_is_balanced_and_each_block_is_of_one_pair() -> None:
    assert list(order()) == [True, False, False, True, True, False, False, True]
    blocks = rows(2, 90, 100)
    assert paired(blocks) == [0.9] * 8
    assert control(blocks) == [1.0] * 6


def test_progress_is_of_bytes_over_time() -> None:
    assert paired([block(True, 100, ns=2 * SECOND), block(False, 100, ns=SECOND)]) == [0.5]


def test_blocks_in_which_nothing_was_sent_tell_nothing() -> None:
    assert paired([block(True, 0), block(False, 100), block(False, 0), block(True, 5)]) == []
    assert control([block(True, 0), block(True, 100)]) == []


def test_blocks_of_different_rows_are_no_neighbours() -> None:
    assert paired([block(True, 1, row=0), block(False, 1, row=1)]) == []


@pytest.mark.parametrize(
    ("blocks", "expected", "why"),
    [
        (rows(3, 1000, 1000), "below", "below 2%"),
        (rows(3, 985, 1000), "below", "below 2%"),
        (rows(3, 900, 1000), "above", "above 2%"),
        (rows(2, 1000, 1000), "cannot be told", "16 blocks in which the job sent anything are too few: 20 are wanted"),
        (rows(3, 0, 0), "cannot be told", "0 blocks"),
        ((), "cannot be told", "0 blocks"),
        (rows(4, 1000, 1000, noise=100), "cannot be told", "the noise is 10.0%"),
    ],
)
def test_a_verdict_needs_blocks_and_little_noise(blocks: tuple[Block, ...], expected: str, why: str) -> None:
    which, told = verdict(cost(*blocks))
    assert which == expected
    assert told.startswith(why)


def test_blocks_that_should_be_alike_and_are_not_forbid_a_verdict() -> None:
    growing = tuple(block(on, 1000 * 2**place, row) for row in range(3) for place, on in enumerate(order()))
    assert verdict(cost(*growing)) == ("cannot be told", "blocks that were watched alike differ by 100.0%")


def test_the_busiest_process_is_the_one_with_the_largest_share() -> None:
    own = [
        Own(program=name, ns=Nanoseconds(ns), calls=4, over_ns=Nanoseconds(SECOND)) for name, ns in (("a", 5), ("b", 9))
    ]
    found = busiest(cost(own=tuple(own)))
    assert found is own[1]
    assert share(own[1]) == 9e-9


class Taps:
    """A process that sends ten bytes with each look at the clock."""

    def __init__(self) -> None:
        self.told: list[tuple[bool, bool]] = []
        self.sent = self.dropped = self.own_ns = self.own_calls = 0
        self.clock = count(0, 1_000_000)

    def find(self) -> None:
        """Nobody is new."""

    def set(self, on: bool, timed: bool = False) -> None:
        self.told.append((on, timed))

    def processes(self) -> dict[Path, Process]:
        counters = Counters(
            dropped=self.dropped, sent=self.sent, own_ns=self.own_ns, own_calls=self.own_calls, clock_ps=20_000
        )
        return {Path("one"): Process(program="job", counters=counters)}

    def now(self) -> int:
        return next(self.clock)


def tried(taps: Taps, calls: int, after: int = 0) -> tuple[Trial, list[float]]:
    trial = Trial(taps, Times(after_ns=Nanoseconds(after), block_ns=Nanoseconds(10_000_000)), taps.now)
    waits = []
    for _ in range(calls):
        waits.append(trial())
        taps.sent += 10
        taps.own_ns += 1_000
        taps.own_calls += 10
    return trial, waits


def test_turns_begin_when_the_job_has_sent() -> None:
    taps = Taps()
    trial = Trial(taps, Times(after_ns=Nanoseconds(0), block_ns=Nanoseconds(10_000_000)), taps.now)
    for _ in range(200):
        trial()
    assert taps.told == []
    taps.sent = 1
    for _ in range(200):
        trial()
    assert taps.told[:4] == [(True, True), (True, False), (False, False), (False, False)]


def test_turns_are_measured_by_the_clock_and_what_was_sent() -> None:
    trial, waits = tried(Taps(), 2000)
    found = trial.cost(least=20)
    assert len(found.blocks) > 20
    assert [each.on for each in found.blocks[:8]] == list(order())
    assert all(each.ns >= 10_000_000 and each.sent > 0 and each.sent % 10 == 0 for each in found.blocks)
    assert {each.row for each in found.blocks} == set(range(found.blocks[-1].row + 1))
    assert all(0 <= wait <= 0.1 for wait in waits)


def test_the_clock_is_no_part_of_what_the_tap_took() -> None:
    trial, _ = tried(Taps(), 2000)
    (own,) = trial.cost(least=20).own
    assert own.calls > 0
    assert own.ns == own.calls * (100 - 20)
    assert own.over_ns >= 10_000_000


def test_a_full_log_ends_the_trial() -> None:
    taps = Taps()
    trial, _ = tried(taps, 500)
    taps.dropped = 1
    for _ in range(500):
        trial()
    found = trial.cost(least=20)
    assert taps.told[-1] == (False, False)
    assert any("full" in note for note in found.notes)


def test_people_and_programs_are_told_the_same() -> None:
    own = Own(program="ps", ns=Nanoseconds(2_000_000), calls=1000, over_ns=Nanoseconds(SECOND))
    found = cost(*rows(3, 995, 1000), own=(own,))
    text = as_text(found)
    for part in ("0.9950", "below 2%", "0.20% of wall time in ps", "2,000 ns a call, 1,000 calls/s", "over 12 pairs"):
        assert part in text
    told = json.loads(as_json(found))
    assert (told["verdict"], told["own_share"], told["progress"]["median"]) == ("below", 0.002, 0.995)
    assert len(told["blocks"]) == 24


def test_a_job_that_ended_at_once_is_told_as_well() -> None:
    text = as_text(cost())
    assert "cannot be told: 0 blocks" in text
    assert "was not measured" in text
    assert json.loads(as_json(cost()))["own_share"] is None
