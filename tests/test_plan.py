"""What the ranks are told follows from the spec and the place alone."""

from msgspec.structs import replace

from tensorwire import replay
from tensorwire.benchmarks import Pattern, Role
from tensorwire.payload import Random
from tensorwire.plan import Arrivals, Plan, Site, make, outstanding, ports
from tensorwire.recorded import Replay, Steps
from tensorwire.spec import Closed, Constant, Load, Placement, Poisson, Recorded, Spec
from tensorwire.step_replay import step
from tensorwire.units import Bytes, Nanoseconds
from tests.jobs import parameter_servers

SITE = Site(rendezvous="127.0.0.1:4000", hosts=("10.0.0.1", "10.0.0.2", "10.0.0.1"), cores=(2, 5))
PATTERN = Pattern(
    roles=(
        Role(name="ps", serves=True),
        Role(name="worker", serves=False, calls=(0, 2)),
        Role(name="ps", serves=True),
    ),
    reply="echo",
    outstanding=3,
)


def test_serving_ranks_count_up_from_the_port() -> None:
    assert ports(Spec(port=5000), PATTERN) == [5000, 0, 5001]
    assert [rank.port for rank in make(Spec(port=5000), PATTERN, {}, (0,), SITE).ranks] == [5000, 0, 5001]


def test_port_0_leaves_the_choice_to_the_host() -> None:
    assert ports(Spec(port=0), PATTERN) == [0, 0, 0]


def test_ranks_take_the_allowed_cores_in_turn() -> None:
    def cores(placement: Placement) -> list[tuple[int, ...]]:
        return [rank.cores for rank in make(Spec(placement=placement), PATTERN, {}, (0,), SITE).ranks]

    assert cores(Placement(pin="distinct")) == [(2,), (5,), (2,)]
    assert cores(Placement(pin="same")) == [(2,)] * 3
    assert cores(Placement(pin="none")) == [()] * 3


def test_calls_in_flight_are_the_benchmarks_unless_asked_for() -> None:
    assert outstanding(Spec(), PATTERN) == 3
    assert outstanding(Spec(load=Closed(outstanding=7)), PATTERN) == 7
    assert outstanding(Spec(load=Poisson(rate=1)), PATTERN) == 64
    assert make(Spec(load=Closed(outstanding=7)), PATTERN, {}, (0,), SITE).outstanding == 7


def test_an_open_loop_has_arrivals() -> None:
    assert make(Spec(), PATTERN, {}, (0,), SITE).arrivals is None
    constant = make(Spec(load=Constant(rate=5), seed=9), PATTERN, {}, (0,), SITE).arrivals
    assert constant == Arrivals(rate=5, poisson=False, seed=9)
    poisson = make(Spec(load=Poisson(rate=5)), PATTERN, {}, (0,), SITE).arrivals
    assert poisson == Arrivals(rate=5, poisson=True, seed=1)


def test_only_the_points_that_are_left_are_planned() -> None:
    spec = Spec(sizes=(Bytes(1), Bytes(2), Bytes(3)))
    plan = make(spec, PATTERN, {}, (0, 2), SITE)
    assert [(point.index, point.payloads) for point in plan.points] == [(0, ((1,),)), (2, ((3,),))]


def test_a_point_has_every_payload_that_is_sent_in_turn() -> None:
    scheme = Random(draw="per-call", draws=4, count=3)
    (point,) = make(Spec(payload=scheme), PATTERN, {}, (0,), SITE).points
    assert point.payloads == tuple(payload.sizes for payload in scheme.payloads())


def test_the_rest_is_told_as_it_was_asked() -> None:
    spec = replace(
        Spec(),
        mode="serialized",
        fill="zeros",
        threads=2,
        calls=11,
        warmup_ns=Nanoseconds(1),
        duration_ns=Nanoseconds(2_000_000),
        timeout_ns=Nanoseconds(3_000_000),
        placement=Placement(wait="spin", malloc="default", congestion="reno"),
    )
    plan = make(spec, PATTERN, {"call": "stream"}, (0,), SITE)
    assert (plan.serialized, plan.fill, plan.threads, plan.max_calls, plan.reply) == (True, "zeros", 2, 11, "echo")
    assert (plan.warmup_ns, plan.duration_ns, plan.timeout_ns) == (1, 2_000_000, 3_000_000)
    assert (plan.spin, plan.tuned_malloc, plan.congestion) == (True, False, "reno")
    assert (plan.options, plan.rendezvous) == ({"call": "stream"}, SITE.rendezvous)
    assert [rank.host for rank in plan.ranks] == list(SITE.hosts)
    assert [(rank.serves, rank.calls) for rank in plan.ranks] == [(True, ()), (False, (0, 2)), (True, ())]


def test_a_payload_that_is_drawn_many_times_is_made_once() -> None:
    drawn = Replay(name="job", sizes=((Bytes(1),), (Bytes(9), Bytes(9))), counts=(3, 1), draws=400)
    point = make(Spec(payload=drawn), PATTERN, {}, (0,), SITE).points[0]
    assert sorted(point.payloads) == [(1,), (9, 9)]
    assert [point.payloads[place] for place, _ in point.messages] == [each.sizes for each in drawn.payloads()]


def exact() -> Replay:
    scheme = replay.exact(parameter_servers(steps=2)).scheme
    assert isinstance(scheme, Replay)
    return scheme


def test_an_exact_replay_is_planned_as_messages_over_what_there_is_of_each() -> None:
    scheme = exact()
    (point,) = make(Spec(payload=scheme), PATTERN, {}, (0,), SITE).points
    assert (point.payloads, point.answers) == (scheme.sizes, scheme.answers)
    for (payload, answer), sent, back in zip(point.messages, scheme.payloads(), scheme.replied(), strict=True):
        assert point.payloads[payload] == sent.sizes
        assert (None if answer is None else point.answers[answer]) == back


def test_recorded_arrivals_are_gaps_at_the_pace() -> None:
    scheme = exact()
    arrivals = make(Spec(payload=scheme, load=Recorded(pace=2)), PATTERN, {}, (0,), SITE).arrivals
    assert arrivals is not None
    assert list(arrivals.gaps_ns) == scheme.gaps(2)
    assert arrivals.rate > 0
    assert outstanding(Spec(payload=scheme, load=Recorded()), PATTERN) == 64


JOB_PATTERN = Pattern(
    roles=(
        Role(name="ps", serves=True),
        Role(name="ps", serves=True),
        *[Role(name="worker", serves=False, calls=(0, 1))] * 3,
    ),
    reply="acknowledge",
)


def by_step(load: Load) -> Plan:
    scheme = step(parameter_servers()).scheme
    spec = Spec(benchmark="ps-throughput", payload=scheme, load=load)
    return make(spec, JOB_PATTERN, {}, (0,), replace(SITE, hosts=("10.0.0.1",) * JOB_PATTERN.size))


def test_every_worker_follows_the_script_of_a_recorded_one_in_turn() -> None:
    plan = by_step(Closed())
    assert [rank.script for rank in plan.ranks[2:]] == [0, 1, 0]
    assert plan.outstanding == 16
    assert len(plan.points[0].scripts) == 2
    assert plan.arrivals is None


def test_steps_begin_as_soon_as_can_be_unless_they_are_paced() -> None:
    plan = by_step(Closed())
    for script in plan.points[0].scripts:
        assert script.period_ns == 0
        assert [each.begin_ns for each in script.steps] == [0, 0]
        assert {call[3] for each in script.steps for phase in each.phases for call in phase} == {0}
    scheme = step(parameter_servers()).scheme
    assert isinstance(scheme, Steps)
    for worker, script in enumerate(by_step(Recorded(pace=0.5)).points[0].scripts):
        assert script.period_ns == 2 * scheme.period_ns
        for planned, recorded in zip(script.steps, scheme.steps, strict=True):
            turn = recorded.workers[worker]
            assert planned.begin_ns == 2 * turn.begin_ns
            for phase, calls in zip(planned.phases, (turn.pulls, turn.pushes), strict=True):
                assert [call[:3] for call in phase] == [(call.server, call.request, call.answer) for call in calls]
                assert [call[3] for call in phase] == [2 * call.due_ns for call in calls]
