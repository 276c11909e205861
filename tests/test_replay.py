"""A replay sends what the profile holds: exactly, or drawn from the same distribution."""

from collections.abc import Callable
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tensorwire import replay, spec
from tensorwire.cli import profiles as words
from tensorwire.errors import SpecError
from tensorwire.payload import MAX_BUFFERS
from tensorwire.profile import OUTSIDE, Profile
from tensorwire.recorded import ALONE, Replay
from tensorwire.spec import Scheme
from tensorwire.units import Bytes
from tests import profiles
from tests.jobs import STEP_NS, Job

vectors = st.lists(st.lists(st.integers(1, 10**7), min_size=1, max_size=3), min_size=1, max_size=30)

JOB = profiles.profile((7,), (5, 6), (9,), (5, 6), steps=(-1, 0, 0, 1))
SKEWED = profiles.profile(*[(10,)] * 900, *[(20_000,)] * 97, *[(3_000_000,)] * 3)


def sent(scheme: replay.Recorded) -> list[tuple[int, ...]]:
    return [payload.sizes for payload in scheme.payloads()]


def test_exact_sends_the_same_messages_in_the_same_order() -> None:
    assert sent(replay.exact(JOB).scheme) == [(5, 6), (9,), (5, 6)]


@given(vectors)
def test_exact_has_no_distance(messages: list[list[int]]) -> None:
    made = profiles.profile(*messages)
    scheme = replay.exact(made).scheme
    assert sent(scheme) == [tuple(sizes) for sizes in messages]
    assert replay.fidelity(made, scheme).wasserstein == 0


@given(vectors, st.integers(0, 2**63 - 1))
def test_proportional_is_near_at_ten_thousand_draws(messages: list[list[int]], seed: int) -> None:
    """Even steps through the distribution move no more than one draw's share of the range of sizes."""
    made = profiles.profile(*messages)
    apart = replay.fidelity(made, replace(replay.proportional(made).scheme, draws=10_000, seed=seed))
    sizes = made.message_sizes()
    assert apart.wasserstein <= Fraction(max(sizes) - min(sizes), 10_000)


@pytest.mark.parametrize("seed", range(5))
def test_proportional_is_within_a_hundredth_of_the_mean_even_when_few_messages_have_most_bytes(seed: int) -> None:
    scheme = replace(replay.proportional(SKEWED).scheme, draws=10_000, seed=seed)
    assert replay.fidelity(SKEWED, scheme).relative <= Fraction(1, 100)


def test_as_many_draws_as_messages_are_the_messages() -> None:
    scheme = replace(replay.proportional(SKEWED).scheme, draws=1000)
    assert replay.fidelity(SKEWED, scheme).wasserstein == 0


def test_the_seed_decides_the_order() -> None:
    scheme = replay.proportional(SKEWED).scheme
    assert sent(scheme) == sent(scheme)
    assert sent(scheme) != sent(replace(scheme, seed=2))
    assert sent(scheme) != sorted(sent(scheme))


def test_a_replay_is_read_as_it_was_written() -> None:
    for scheme in (replay.exact(JOB).scheme, replay.proportional(JOB).scheme):
        assert msgspec.json.decode(msgspec.json.encode(scheme), type=Scheme) == scheme
        assert spec.parse({"payload": msgspec.to_builtins(scheme)}).payload == scheme


def test_it_describes_itself_in_one_line() -> None:
    assert replay.exact(JOB).scheme.describe() == (
        "profile job (its 2 steps): 3 messages in their order, 9 B to 11 B, mean 10 B"
    )
    assert replace(replay.proportional(JOB).scheme, draws=6).describe() == (
        "profile job (its 2 steps): 6 messages of 3 in proportion, seed 1, 9 B to 11 B, mean 10 B"
    )


@pytest.mark.parametrize("make", [replay.exact, replay.proportional])
def test_empty_buffers_and_messages_are_left_out_with_a_note(make: words.Make) -> None:
    made = profiles.profile((0, 5), (0,), (), (5,))
    replayed = make(made)
    assert set(sent(replayed.scheme)) == {(5,)}
    assert replay.fidelity(made, replayed.scheme).wasserstein == 0
    assert replayed.notes == ("buffers of 0 B are not replayed: 2", "messages without content are not replayed: 2")


@pytest.mark.parametrize("make", [replay.exact, replay.proportional])
def test_nothing_cannot_be_replayed(make: words.Make) -> None:
    with pytest.raises(SpecError, match="nothing to replay"):
        make(profiles.profile((0,), ()))


def test_a_long_job_is_replayed_by_its_first_whole_steps() -> None:
    in_step = replay.MOST_MESSAGES // 3
    steps = [step for step in range(5) for _ in range(in_step)]
    made = profiles.profile(*[(1 + step,) for step in steps], steps=steps)
    scheme = replay.exact(made).scheme
    assert sent(scheme) == [(1 + step,) for step in steps[: 3 * in_step]]
    assert scheme.part == "steps 1 to 3 of 5"


@pytest.mark.parametrize("order", [replay.proportional, replay.exact])
@pytest.mark.parametrize(
    ("sizes", "said"),
    [((2**31 + 1,), "a buffer of 2147483649 B, and at most 2 GiB"), ((1,) * (MAX_BUFFERS + 1), "of 1000001 buffers")],
)
def test_what_nobody_can_send_is_named(
    order: Callable[[Profile], replay.Replayed], sizes: list[int], said: str
) -> None:
    with pytest.raises(SpecError, match=f"profile job has .*{said}.*--only"):
        order(profiles.profile((1,), sizes))


def test_a_long_job_without_steps_is_refused() -> None:
    made = profiles.profile(*[(1,)] * (replay.MOST_MESSAGES + 1))
    with pytest.raises(SpecError, match=r"10001 messages.*--order proportional"):
        replay.exact(made)
    assert len(sent(replay.proportional(made).scheme)) == 1000


def test_messages_of_very_many_buffers_are_drawn_fewer_times() -> None:
    scheme = replay.proportional(profiles.profile((1,) * 5000)).scheme
    assert scheme.draws * 5000 <= MAX_BUFFERS


ONE = {"name": "job", "sizes": ((Bytes(1),),)}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"counts": (1, 2)},
        {"counts": (0,)},
        {"counts": (1,), "draws": 0},
        {"counts": (1,), "draws": MAX_BUFFERS + 1},
        {"counts": (1,), "seed": -1},
        {"order": "exact"},
        {"order": "exact", "messages": (1,)},
        {"order": "exact", "messages": (0,), "sizes": ((),)},
        {"order": "exact", "messages": (0,), "sizes": ((Bytes(0),),)},
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        Replay(**{**ONE, **fields})  # type: ignore[arg-type]


def exchanged(*pairs: tuple[int, int]) -> Profile:
    """Requests and replies of these sizes, in turn, of one worker and one server; 0 is an empty message."""
    job = Job(("worker", "ps"))
    for number, (asked, replied) in enumerate(pairs):
        job.exchange(1000 * number, ("worker", "ps"), ((asked, 1) if asked else (), (replied,)), OUTSIDE)
    return job.profile(0)


def replay_of(profile: Profile) -> Replay:
    scheme = replay.exact(profile).scheme
    assert isinstance(scheme, Replay)
    return scheme


def test_requests_are_sent_in_their_order_and_bring_the_recorded_replies() -> None:
    scheme = replay_of(exchanged((10, 70_000), (20, 0), (10, 5)))
    assert sent(scheme) == [(10, 1), (20, 1), (10, 1)]
    assert scheme.replied() == ((70_000,), (), (5,))
    assert scheme.times == (0, 1000, 2000)
    assert scheme.describe() == (
        "profile job: 3 messages in their order, 11 B to 21 B, mean 14 B; "
        "3 of them get their recorded replies, 0 B to 70 KB, mean 23.3 KB"
    )


def test_a_message_without_a_partner_asks_for_no_recorded_reply() -> None:
    made = exchanged((10, 5))
    job = Job(("worker", "ps"))
    job.exchange(0, ("worker", "ps"), ((10, 1), (5,)), OUTSIDE)
    job.send(1, ("worker", "ps"), "raw", (9,), OUTSIDE)
    assert replay_of(job.profile(0)).exchanges() == ((0, 0), (1, ALONE))
    assert replay_of(replace(made, exchanges=())).replied() == ()


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=1, max_size=50))
def test_an_exact_replay_of_exchanges_has_all_recorded_messages(pairs: list[tuple[int, int]]) -> None:
    made = exchanged(*pairs)
    scheme = replay_of(made)
    assert replay.fidelity(made, scheme).wasserstein == 0
    assert sent(scheme) == [(asked, 1) for asked, _ in pairs]
    assert scheme.replied() == tuple((replied,) for _, replied in pairs)


def test_a_request_without_content_is_left_out_with_its_reply() -> None:
    made = replay.exact(exchanged((10, 5), (0, 7)))
    assert made.notes == (
        "messages without content are not replayed: 1",
        "replies whose requests are not replayed are left out: 1",
    )
    assert sent(made.scheme) == [(10, 1)]


def test_a_reply_goes_with_its_request_over_the_end_of_what_is_replayed() -> None:
    job = Job(("worker", "ps"))
    per_step = replay.MOST_MESSAGES // 2
    for step in range(3):
        for number in range(per_step // 2):
            job.exchange(STEP_NS * step + number, ("worker", "ps"), ((1 + step,), (9 + step,)), step)
    scheme = replay_of(job.profile(3))
    assert scheme.part == "steps 1 to 2 of 3"
    assert len(scheme.messages) == len(scheme.replied()) == per_step
    assert set(scheme.replied()) == {(9,), (10,)}


def test_times_that_are_all_the_same_are_none() -> None:
    assert replay_of(replace(JOB, messages=tuple((0, *m[1:]) for m in JOB.messages))).times == ()
