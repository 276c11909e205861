"""What the ranks are told follows from the spec and the place alone."""

from msgspec.structs import replace

from tensorwire.benchmarks import Pattern, Role
from tensorwire.payload import Random
from tensorwire.plan import Arrivals, Site, make, outstanding, ports
from tensorwire.spec import Closed, Constant, Placement, Poisson, Spec
from tensorwire.units import Bytes, Nanoseconds

SITE = Site(rendezvous="127.0.0.1:4000", host="127.0.0.1", cores=(2, 5))
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
    assert (plan.options, plan.rendezvous, plan.host) == ({"call": "stream"}, SITE.rendezvous, SITE.host)
    assert [(rank.serves, rank.calls) for rank in plan.ranks] == [(True, ()), (False, (0, 2)), (True, ())]
