"""Steps: told by marks, found by markers or pauses, and in doubt none."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import pytest

from tensorwire.profile import OUTSIDE, Profile, decode
from tensorwire.steps import By, Wanted, divide, divided
from tests.profiles import Event, of_events

DATA = Path(__file__).parent / "data"
PULL, PUSH = 5_000_000, 5_000_100


def stepped(profile: Profile, marks: Mapping[int, Sequence[int]] | None = None, **wanted: object) -> Profile:
    how = Wanted(**wanted)  # type: ignore[arg-type]
    return divided(profile, divide(profile, marks or {}, how), how)


def session(at: int, worker: str, *servers: str, pull: int = PULL, push: int = PUSH, graph: int = 0) -> list[Event]:
    """What a TF1 session sends in 60 ns: a worker may ask for tensors before it asks the servers to run."""
    events: list[Event] = []
    for place, ps in enumerate(servers):
        begin = at + place
        if graph:
            events += [(at - 9, worker, ps, "request", "/t.W/RegisterGraph", graph)]
            events += [(at - 8, ps, worker, "reply", "/t.W/RegisterGraph", 18)]
        events += [
            (begin, worker, ps, "request", "/t.W/RecvTensor", 137),
            (begin + 2, worker, ps, "request", "/t.W/RunGraph", 62),
            (begin + 20, ps, worker, "reply", "/t.W/RecvTensor", pull),
            (begin + 50, ps, worker, "reply", "/t.W/RunGraph", 2),
            (begin + 53, worker, ps, "request", "/t.W/CleanupGraph", 9),
            (begin + 55, ps, worker, "reply", "/t.W/CleanupGraph", 0),
        ]
        if push:
            events += [
                (begin + 3, ps, worker, "request", "/t.W/RecvTensor", 160),
                (begin + 40, worker, ps, "reply", "/t.W/RecvTensor", push),
            ]
    return events


def sessions(worker: str, *servers: str, count: int, start: int = 1000, every: int = 100) -> list[Event]:
    """One that asks whether all is ready, and then so many that train."""
    asked = session(start - every, worker, *servers, pull=3, push=0)
    return asked + [event for step in range(count) for event in session(start + step * every, worker, *servers)]


def per_step(profile: Profile) -> list[int]:
    """Bytes of the messages of each step, the warm-up as well."""
    totals = [sum(sizes) for sizes in profile.payloads]
    return [
        sum(totals[what] for _, _, what, of in profile.messages if of == step) for step in range(len(profile.steps))
    ]


WHOLE = PULL + PUSH + 137 + 62 + 2 + 9 + 160


def test_a_session_is_a_step_to_the_byte() -> None:
    found = stepped(of_events(sessions("worker 0", "ps 0", count=6)))
    assert found.steps == tuple((at, at + 100) for at in range(1000, 1500, 100))
    assert per_step(found) == [WHOLE] * 5
    assert found.warmup == 1
    assert {found.messages[place][3] - found.messages[other][3] for place, other in found.exchanges} == {0}


def test_what_is_asked_for_long_before_its_session_is_of_its_step() -> None:
    """Right after the session before, with the longest pause only then."""
    events = sessions("worker 0", "ps 0", count=6)
    early = [
        (at - 43, *rest) if at in (1200, 1300) and rest[3] == "/t.W/RecvTensor" else (at, *rest) for at, *rest in events
    ]
    found = stepped(of_events(early))  # type: ignore[arg-type]
    assert per_step(found) == [WHOLE] * 5
    assert [begin for begin, _ in found.steps] == [1000, 1100, 1157, 1257, 1400]


def test_several_servers_make_one_step() -> None:
    found = stepped(of_events(sessions("worker 0", "ps 0", "ps 1", "ps 2", count=5)))
    assert len(found.steps) == 4
    assert per_step(found) == [3 * WHOLE] * 4


def test_workers_go_through_their_steps_by_themselves() -> None:
    slow = sessions("worker 1", "ps 0", count=4, start=1037, every=171)
    found = stepped(of_events(sessions("worker 0", "ps 0", count=9) + slow))
    assert per_step(found) == [2 * WHOLE] * 3
    assert found.steps == ((1000, 1100), (1100, 1200), (1200, 1300))
    notes = " ".join(found.captured.notes)
    assert "left out: 5 of worker 0" in notes
    assert "times of steps are those of worker 0" in notes


def test_sessions_that_do_not_train_are_left_out() -> None:
    asked = [event for at in range(100, 800, 100) for event in session(at, "worker 0", "ps 0", pull=3, push=0)]
    evaluated = [event for at in range(2000, 6000, 100) for event in session(at, "worker 0", "ps 0", push=0)]
    found = stepped(of_events(asked + sessions("worker 0", "ps 0", "ps 1", count=5) + evaluated))
    assert [begin for begin, _ in found.steps] == [1000, 1100, 1200, 1300, 1400]
    assert per_step(found)[:4] == [2 * WHOLE] * 4
    assert any("other sessions, and the last one, left out: 48" in note for note in found.captured.notes)


def test_the_session_that_ships_the_graph_is_no_steady_step() -> None:
    first = session(950, "worker 0", "ps 0", graph=4_000_000)
    found = stepped(of_events(first + sessions("worker 0", "ps 0", count=5, start=1100)))
    totals = [sum(found.payloads[message[2]]) for message in found.steady]
    assert 4_000_000 not in totals
    assert sum(totals) % WHOLE == 0


def test_a_chief_that_only_tells_workers_what_to_do_drives_no_steps() -> None:
    told: list[Event] = []
    for at in range(995, 1900, 100):
        told += [(at, "chief 0", "worker 0", "request", "/t.E/RunComponentFunction", 270)]
        told += [(at + 1, "worker 0", "chief 0", "reply", "/t.E/RunComponentFunction", 0)]
    found = stepped(of_events(told + sessions("worker 0", "ps 0", count=6)))
    assert [begin for begin, _ in found.steps] == [995, 1095, 1195, 1295, 1395]


def test_sessions_that_are_all_different_are_no_steps() -> None:
    grown = [event for step in range(6) for event in session(100 * step, "w", "ps", pull=3000**step, push=2)]
    found = stepped(of_events(grown))
    assert found.steps == ()
    assert "no two of TensorFlow's sessions moved the same bytes" in found.captured.notes[0]
    assert len(found.steady) == len(found.messages)


def test_each_process_goes_by_its_own_marks() -> None:
    ring: list[Event] = []
    for step in range(4):
        ring += [(100 * step + 10, "rank 0", "rank 1", "message", "", 700 + step)]
        ring += [(100 * step + 18, "rank 1", "rank 0", "message", "", 900 + step)]
    marks = {0: [5, 105, 205, 305, 405], 1: [15, 115, 215, 315]}
    found = stepped(of_events(ring), marks)
    assert per_step(found) == [1600, 1602, 1604]
    assert found.steps == ((5, 105), (105, 205), (205, 305))
    assert any("1 of rank 0" in note for note in found.captured.notes)


def bursts(pauses: Sequence[int], sizes: Sequence[int]) -> list[Event]:
    begins = accumulate(pauses)
    return [
        (at + 10 * place, "a", "b", "raw", "", size)
        for at, size in zip(begins, sizes, strict=True)
        for place in range(3)
    ]


def test_clear_pauses_between_alike_bursts_are_steps() -> None:
    found = stepped(of_events(bursts([1000] * 9, [50] + [7] * 8)))
    assert per_step(found) == [21] * 7
    assert any(
        "by idle gaps: 7 bursts of alike bytes between pauses of at least 980 ns; the longest within one is 10" in note
        for note in found.captured.notes
    )


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (bursts([1000] * 9, [5, 9, 2, 70, 1, 30, 8, 90, 4]), "not alike"),
        (bursts([45] * 9, [7] * 9), "not clearly of two kinds"),
        (bursts([1000] * 3, [7] * 3), "not clearly of two kinds"),
        ([], "not clearly of two kinds"),
    ],
)
def test_other_pauses_are_not(made: list[Event], why: str) -> None:
    found = stepped(of_events(made))
    assert found.steps == ()
    assert why in found.captured.notes[0]


def test_less_clear_pauses_do_where_they_are_asked_for() -> None:
    events = of_events(bursts([45] * 6, [7] * 6))
    assert len(stepped(events, by="gaps").steps) == 4
    assert stepped(events).steps == ()


@pytest.mark.parametrize(("by", "count"), [("auto", 2), ("marks", 2), ("markers", 5), ("gaps", 5), ("none", 0)])
def test_the_way_can_be_asked_for(by: By, count: int) -> None:
    found = stepped(of_events(sessions("worker 0", "ps 0", count=6, every=1000)), {0: [1000, 2000, 3000]}, by=by)
    assert (len(found.steps), by) == (count, by)


def test_what_was_asked_for_and_is_not_there_is_said() -> None:
    found = stepped(of_events(sessions("worker 0", "ps 0", count=6)), by="marks")
    assert found.steps == ()
    assert found.captured.notes == ("no steps were found: no process marked any",)
    assert stepped(of_events([]), by="none").captured.notes == ()


def marked(*sizes: int, **wanted: object) -> Profile:
    events: list[Event] = [(10 * step + 5, "a", "b", "raw", "", size) for step, size in enumerate(sizes)]
    return stepped(of_events(events), {0: [10 * step for step in range(len(sizes) + 1)]}, **wanted)


@pytest.mark.parametrize(
    ("sizes", "warmup"),
    [
        ((100, 100, 100, 100), 1),
        ((900, 100, 100, 100), 1),
        ((900, 300, 111, 100, 100, 100, 100), 3),
        ((900, 110, 100, 100, 100), 1),
        ((1, 2, 4, 8, 16, 32, 64), 1),
        ((7, 7), 1),
        ((7,), 0),
    ],
)
def test_first_steps_that_differ_are_warm_up(sizes: tuple[int, ...], warmup: int) -> None:
    found = marked(*sizes)
    assert found.warmup == warmup
    assert any(f"warm-up: the first {warmup}" in note for note in found.captured.notes)


@pytest.mark.parametrize(("asked", "warmup", "told"), [(0, 0, "as asked"), (3, 3, "as asked"), (9, 3, "not the 9")])
def test_the_warm_up_can_be_asked_for(asked: int, warmup: int, told: str) -> None:
    found = marked(9, 9, 9, 9, warmup=asked)
    assert found.warmup == warmup
    assert any(told in note for note in found.captured.notes)


def test_a_few_steps_can_be_kept_alone() -> None:
    found = stepped(of_events(sessions("worker 0", "ps 0", count=9)), keep=2)
    assert found.steps == ((1100, 1200), (1200, 1300))
    assert (found.warmup, per_step(found)) == (0, [WHOLE] * 2)
    assert OUTSIDE not in {message[3] for message in found.messages}
    assert len(found.exchanges) == 8
    assert any("only 2 of the 7 steps after the warm-up" in note for note in found.captured.notes)


def test_what_has_no_steps_is_kept_whole() -> None:
    assert len(stepped(of_events(bursts([45] * 3, [7] * 3)), keep=2).messages) == 9


@pytest.mark.parametrize(("name", "marker"), [("graph-servers", "RunGraph"), ("coordinated", "RunComponentFunction")])
def test_steps_of_real_jobs_are_whole(name: str, marker: str) -> None:
    """Two workers that each pull 4 variables, and push as many gradients, in a step: 784 x 512, 512, 512 x 10, 10."""
    found = stepped(decode((DATA / f"{name}.profile.json").read_bytes()))
    assert any(f"requests {marker} of worker 0, worker 1" in note for note in found.captured.notes)
    assert len(found.steps) > found.warmup + 2
    for step in range(found.warmup, len(found.steps)):
        buffers = Counter(
            (found.roles[found.streams[by].sender].split()[0], size)
            for _, by, what, of in found.messages
            if of == step
            for size in found.payloads[what]
            if size > 1024
        )
        assert buffers == {(role, 4 * size): 2 for role in ("ps", "worker") for size in (784 * 512, 512, 512 * 10)}
    linked = [(found.messages[request][3], found.messages[reply][3]) for request, reply in found.exchanges]
    assert all(request == reply for request, reply in linked)
