"""A profile's training steps become what its workers do."""

import pytest
from msgspec.structs import replace

from tensorwire.errors import SpecError
from tensorwire.recorded import Call, Steps
from tensorwire.replay import exact, fidelity
from tensorwire.step_replay import step
from tests.jobs import LATE_NS, VARIABLES, Job, parameter_servers
from tests.profiles import profile

JOB = parameter_servers()


def steps_of(made: object) -> Steps:
    assert isinstance(made, Steps)
    return made


SCHEME = steps_of(step(JOB).scheme)


def sent(call: Call) -> tuple[int, ...]:
    return SCHEME.sizes[call.request]


def back(call: Call) -> tuple[int, ...]:
    return SCHEME.answers[call.answer]


def test_pulls_are_as_recorded_and_pushes_are_turned_round() -> None:
    assert (SCHEME.ps, SCHEME.workers) == (2, 2)
    assert SCHEME.part == "its 2 steps after 1 of warm-up"
    assert len(SCHEME.steps) == 2
    for number, each in enumerate(SCHEME.steps, start=1):
        for turn in each.workers:
            assert [sent(call) for call in turn.pulls] == [(60 + number,)] * 3
            assert [back(call) for call in turn.pulls] == [(size, 7) if size else () for size in VARIABLES]
            assert [sent(call) for call in turn.pushes] == [(size + 1, 3) for size in VARIABLES]
            assert [back(call) for call in turn.pushes] == [(70,)] * 3
            assert [call.server for call in turn.calls] == [0, 1, 0] * 2


def test_calls_are_due_when_their_bulk_was_sent() -> None:
    for turn in SCHEME.steps[0].workers:
        assert [call.due_ns for call in turn.pulls] == [LATE_NS, 1000, 2000 + LATE_NS]  # the second brings nothing back
        assert [call.due_ns for call in turn.pushes] == [50_000 + LATE_NS, 51_000, 52_000 + LATE_NS]


def test_steps_have_their_recorded_times_and_the_bytes_of_all_roles() -> None:
    assert [[turn.begin_ns for turn in each.workers] for each in SCHEME.steps] == [[0, 0], [100_000, 100_000]]
    assert {each.time_ns for each in SCHEME.steps} == {90_000}
    pulled = 2 * sum(61 + (size + 7 if size else 0) for size in VARIABLES)
    pushed = 2 * sum(70 + size + 4 for size in VARIABLES)
    assert SCHEME.steps[0].bytes == pulled + pushed + 5 + 6 + 11
    assert SCHEME.period_ns == 190_000


def test_what_is_no_exchange_of_workers_and_servers_is_left_out_with_a_count() -> None:
    assert step(JOB).notes == (
        "exchanges between other roles than workers and ps are left out: 2",
        "messages without a reply, or no reply to anything, are left out: 2",
    )
    alone = parameter_servers(warmup=0, chief=False)
    assert step(alone).notes == ()
    assert fidelity(alone, step(alone).scheme).wasserstein == 0


def test_an_exchange_whose_bulk_is_empty_cannot_be_sent() -> None:
    job = Job(("ps 0", "worker 0"))
    job.exchange(1000, ("worker 0", "ps 0"), ((3,), (4,)), 0)
    job.exchange(2000, ("ps 0", "worker 0"), ((3,), ()), 0)
    job.exchange(3000, ("worker 0", "ps 0"), ((0,), (4,)), 0)
    made = step(job.profile(1))
    assert made.notes == ("exchanges without content to send are left out: 2",)
    assert len(steps_of(made.scheme).steps[0].workers[0].calls) == 1


def test_a_worker_that_does_nothing_in_a_step_has_no_payload_for_it() -> None:
    job = Job(("ps 0", "worker 0", "worker 1"))
    for worker, at in ((0, 0), (1, 0), (0, 1)):
        job.exchange(100_000 * at + 1000, (f"worker {worker}", "ps 0"), ((3,), (4,)), at)
    scheme = steps_of(step(job.profile(2)).scheme)
    assert len(scheme.payloads()) == len(scheme.replied()) == 3
    assert [len(turn.calls) for turn in scheme.steps[1].workers] == [1, 0]


def test_a_profile_without_steps_or_such_roles_says_what_to_use_instead() -> None:
    without_steps = replace(JOB, steps=(), warmup=0, messages=tuple((*each[:3], -1) for each in JOB.messages))
    with pytest.raises(SpecError, match=r"profile job has no steps: .*use --order exact"):
        step(without_steps)
    with pytest.raises(SpecError, match=r"no exchanges between roles such as 'worker 0' and 'ps 0'.*--order exact"):
        step(replace(JOB, roles=tuple(f"process {number}" for number in range(5))))
    with pytest.raises(SpecError, match="no exchanges"):
        step(replace(JOB, exchanges=()))
    with pytest.raises(SpecError, match="no steps"):
        step(profile((1,)))


def test_a_worker_that_lags_or_is_ahead_has_steps_that_begin_when_its_own_did() -> None:
    job = Job(("ps 0", "worker 0", "worker 1", "worker 2"))
    for number in range(3):
        for worker, shift in ((0, 10), (1, 130_000), (2, -30_000)):  # by more than a whole step, and before it
            at = 100_000 * (number + 1) + shift
            job.exchange(at, (f"worker {worker}", "ps 0"), ((3,), (4000,)), number)
            job.exchange(at + 20_000, ("ps 0", f"worker {worker}"), ((3,), (4000,)), number)
    made = job.profile(3)
    scheme = steps_of(step(replace(made, steps=tuple((a + 100_000, b + 100_000) for a, b in made.steps))).scheme)
    begins = [[turn.begin_ns for turn in each.workers] for each in scheme.steps]
    assert begins == [[30_000, 30_000, 0], [130_000, 180_500, 100_000], [230_000, 280_500, 200_000]]
    for number, each in enumerate(scheme.steps):
        for turn, shift in zip(each.workers, (10, 130_000, -30_000), strict=True):
            absolute = [turn.begin_ns + call.due_ns for call in turn.calls]
            first = 30_000 + 100_000 * number + shift + LATE_NS
            assert absolute == [first, first + 20_000]
    assert scheme.period_ns == 30_000 + 200_000 + 130_000 + 20_000 + LATE_NS


def test_an_exact_replay_has_the_same_messages_in_their_order() -> None:
    made = exact(JOB)
    assert fidelity(JOB, made.scheme).wasserstein == 0
