"""What a tap saw of a replay is set against what was asked for."""

from collections import Counter

import pytest
from msgspec.structs import replace

from tensorwire import fidelity, replay
from tensorwire.benchmarks import Pattern, Reply, Role
from tensorwire.errors import InstrumentError
from tensorwire.plan import Plan, Site, make
from tensorwire.profile import OUTSIDE, Profile
from tensorwire.recorded import Replay
from tensorwire.result import Failure
from tensorwire.spec import Closed, Recorded, Spec
from tensorwire.step_replay import step
from tensorwire.units import Bytes
from tests.jobs import Job, parameter_servers

ROLES = (
    Role(name="ps", serves=True),
    Role(name="ps", serves=True),
    Role(name="worker", serves=False, calls=(0, 1)),
    Role(name="worker", serves=False, calls=(0, 1)),
)
SITE = Site(rendezvous="127.0.0.1:4000", hosts=("127.0.0.1",) * len(ROLES), cores=(0, 1))
EXACT = Spec(payload=replay.exact(parameter_servers()).scheme, load=Closed(outstanding=7), threads=3)
BY_STEP = Spec(benchmark="ps-throughput", payload=step(parameter_servers()).scheme, load=Recorded(pace=2))
DRAWN = Replay(name="job", sizes=((Bytes(1),), (Bytes(9), Bytes(9))), counts=(3, 1), draws=400)


def planned(spec: Spec, reply: Reply = "acknowledge") -> Plan:
    return make(spec, Pattern(roles=ROLES, reply=reply), {}, (0,), SITE)


def seen(requests: Counter[int], replies: Counter[int], path: str = "/tensorwire.Wire/Recorded") -> Profile:
    """A profile of messages of these sizes."""
    job = Job(("process 0", "process 1"))
    for kind, sizes in (("request", requests), ("reply", replies)):
        for size in sizes.elements():
            job.send(0, ("process 0", "process 1"), kind, (size,), OUTSIDE)  # type: ignore[arg-type]
    made = job.profile(0)
    return replace(made, streams=tuple(replace(stream, method=path) for stream in made.streams))


def test_the_launch_that_is_watched_sends_every_message_once_and_nothing_else() -> None:
    plan = fidelity.once(planned(EXACT))
    assert (plan.outstanding, plan.threads, plan.warmup_ns, plan.check, plan.arrivals) == (1, 1, 0, False, None)
    assert plan.max_calls == len(plan.points[0].messages) == len(EXACT.points()[0])
    drawn = fidelity.once(planned(Spec(payload=DRAWN)))
    sent = [drawn.points[0].payloads[payload] for payload, _ in drawn.points[0].messages]
    assert sent == [payload.sizes for payload in DRAWN.payloads()]


def test_steps_are_sent_without_their_pauses() -> None:
    plan = fidelity.once(planned(BY_STEP))
    assert plan.max_calls == 2
    for script in plan.points[0].scripts:
        assert script.period_ns == 0
        assert {each.begin_ns for each in script.steps} == {0}
        assert {call[3] for each in script.steps for phase in each.phases for call in phase} == {0}


def test_of_very_many_messages_the_first_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "MOST_MESSAGES", 7)
    assert fidelity.once(planned(EXACT)).max_calls == 7
    assert fidelity.once(planned(BY_STEP)).max_calls == 1
    monkeypatch.setattr(fidelity, "MOST_BYTES", 1)
    assert fidelity.once(planned(EXACT)).max_calls == 1


def test_what_ranks_send_follows_from_their_plan() -> None:
    sent = fidelity.sent_by(fidelity.once(planned(BY_STEP)))
    assert sent.requests + sent.replies == replay.message_sizes(BY_STEP.payload)  # type: ignore[arg-type]
    exact = fidelity.sent_by(fidelity.once(planned(EXACT)))
    once = replay.message_sizes(EXACT.payload)  # type: ignore[arg-type]
    assert exact.requests + exact.replies == once + once  # from both workers


def test_the_same_messages_have_no_distance() -> None:
    for spec in (EXACT, BY_STEP):
        plan = fidelity.once(planned(spec))
        sent = fidelity.sent_by(plan)
        found = fidelity.compare(spec, plan, seen(sent.requests, sent.replies))
        assert found.requests
        assert found.replies
        assert (found.requests.wasserstein_bytes, found.requests.ks) == (0, 0)
        assert (found.replies.wasserstein_bytes, found.replies.ks) == (0, 0)
        assert found.requests.asked == found.requests.sent == found.requests.seen == sent.requests.total()


def test_a_lost_message_and_a_longer_one_are_seen() -> None:
    plan = fidelity.once(planned(EXACT))
    sent = fidelity.sent_by(plan)
    fewer = sent.requests - Counter([min(sent.requests)])
    longer = Counter({size + 10: times for size, times in sent.replies.items()})
    found = fidelity.compare(EXACT, plan, seen(fewer, longer))
    assert found.requests
    assert found.requests.ks > 0
    assert f"of {sent.requests.total()} requests the tap saw {sent.requests.total() - 1}" in found.notes
    assert found.replies
    assert found.replies.wasserstein_bytes == 10


def test_drawn_messages_are_compared_with_what_they_were_drawn_from() -> None:
    spec = Spec(payload=DRAWN)
    plan = fidelity.once(planned(spec))
    found = fidelity.compare(spec, plan, seen(Counter({1: 300, 18: 100}), Counter()))
    assert found.requests
    assert found.requests.asked == 4
    assert found.requests.wasserstein_bytes == 0
    assert found.replies is None


def test_serialized_messages_are_as_protobuf_writes_them() -> None:
    spec = Spec(payload=replace(DRAWN, sizes=((Bytes(127),), (Bytes(128), Bytes(20_000)))), mode="serialized")
    sent = fidelity.sent_by(fidelity.once(planned(spec)))
    assert set(sent.requests) == {2 + 127, 3 + 128 + 4 + 20_000}
    found = fidelity.compare(spec, fidelity.once(planned(spec)), seen(sent.requests, Counter()))
    assert "messages are compared as protobuf writes them" in found.notes


def test_counts_are_no_replies_and_echoes_are() -> None:
    spec = Spec(payload=DRAWN)
    plan = fidelity.once(planned(spec, reply="echo"))
    sent = fidelity.sent_by(plan)
    assert sent.requests == sent.replies
    assert fidelity.compare(spec, plan, seen(sent.requests, sent.replies, "echo")).replies is not None
    acknowledged = fidelity.once(planned(spec))
    counts = seen(sent.requests, Counter({8: 800}), "/tensorwire.Wire/Acknowledge")
    assert fidelity.compare(spec, acknowledged, counts).replies is None


def test_what_the_tap_cannot_see_is_a_note() -> None:
    plan = fidelity.once(planned(EXACT))
    found = fidelity.compare(EXACT, plan, seen(Counter(), Counter()))
    assert (found.requests, found.replies) == (None, None)
    assert found.notes == tuple(
        f"the tap sees no {what} of this channel: they are not compared" for what in ("requests", "replies")
    )


def test_what_goes_wrong_is_a_note() -> None:
    def fails(*_: object) -> list[Failure]:
        return [Failure(point=0, rank=1, stage="measure", type="PeerLost", message="rank 0\nwent away")]

    def raises(*_: object) -> list[Failure]:
        raise InstrumentError("no tap here")

    for run, said in ((fails, "rank 0 went away"), (raises, "no tap here")):
        found = fidelity.measure(EXACT, run)
        assert found.requests is None
        assert found.notes == (f"what was sent was not compared with what was asked for: {said}",)
