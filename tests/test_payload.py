"""The laws of payloads and of the schemes that draw them."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.errors import SpecError
from tensorwire.payload import (
    CATEGORIES,
    MAX_BUFFER,
    MAX_BUFFERS,
    RANGES,
    Category,
    CategorySizes,
    Custom,
    Payload,
    Random,
    Skew,
    Uniform,
    apportion,
    spread,
)
from tensorwire.spec import Scheme
from tensorwire.units import Bytes, read

L, M, S = Bytes(1_000_000), Bytes(10_000), Bytes(10)

counts = st.integers(1, 300)
orders = st.permutations(CATEGORIES).map(tuple)
some = st.tuples(orders, st.integers(1, 3)).map(lambda drawn: drawn[0][: drawn[1]])
several = st.tuples(orders, st.integers(2, 3)).map(lambda drawn: drawn[0][: drawn[1]])
weights = st.floats(1e-3, 1e3)

uniforms = st.builds(Uniform, count=counts, categories=some)
randoms = st.builds(
    Random,
    count=counts,
    categories=several,
    seed=st.integers(0, 2**63 - 1),
    draw=st.sampled_from(["fixed", "per-call"]),
    draws=st.integers(1, 8),
)


@st.composite
def skews(draw: st.DrawFn) -> Skew:
    chosen = draw(several)
    given_weights = draw(st.none() | st.tuples(*[weights] * len(chosen)))
    return Skew(count=draw(counts), categories=chosen, bias=draw(st.sampled_from(chosen)), weights=given_weights)


customs = st.builds(
    Custom,
    buffers=st.lists(st.sampled_from(CATEGORIES) | st.integers(1, MAX_BUFFER), min_size=1, max_size=20).map(tuple),
)
schemes = uniforms | randoms | skews() | customs


def _sizes(scheme: Scheme) -> tuple[int, ...]:
    (payload,) = scheme.payloads()
    return payload.sizes


def _tally(scheme: Scheme) -> list[int]:
    return [_sizes(scheme).count(size) for size in (L, M, S)]


def test_the_paper_s_uniform_payload() -> None:
    assert _sizes(Uniform()) == (L, M, S, L, M, S, L, M, S, L)
    assert Uniform().payloads()[0].total == 4_030_030


def test_the_paper_s_skewed_payload() -> None:
    assert _sizes(Skew()) == (L, M, L, L, M, L, S, L, M, L)
    assert Skew().payloads()[0].total == 6_030_010


@pytest.mark.parametrize(("bias", "tally"), [("large", [6, 3, 1]), ("medium", [3, 6, 1]), ("small", [3, 1, 6])])
def test_skew_favours_its_bias_and_then_the_larger(bias: Category, tally: list[int]) -> None:
    assert _tally(Skew(bias=bias)) == tally


def test_skew_over_two_categories_is_two_to_one() -> None:
    assert _tally(Skew(count=9, categories=("small", "large"), bias="small")) == [3, 0, 6]


def test_the_weights_of_skew_follow_bias_first() -> None:
    assert _tally(Skew(bias="small", weights=(0.5, 0.3, 0.2))) == [3, 2, 5]


def test_custom_keeps_its_order() -> None:
    assert _sizes(Custom(buffers=("large", "small", Bytes(4194304)))) == (L, S, 4194304)


def test_a_seed_draws_the_same_on_every_machine_and_version() -> None:
    letters = {L: "L", M: "M", S: "S"}
    assert "".join(letters[size] for size in Random(seed=1).payloads()[0].sizes) == "LSSLMMMSLL"


def test_the_seed_matters() -> None:
    assert len({Random(seed=seed).payloads() for seed in range(20)}) > 10


@given(schemes)
def test_the_same_scheme_draws_the_same_payloads(scheme: Scheme) -> None:
    copy = msgspec.json.decode(msgspec.json.encode(scheme), type=Scheme)
    assert copy == scheme
    assert copy.payloads() == scheme.payloads()


@given(uniforms | randoms | skews())
def test_every_payload_has_the_buffers_asked_for_and_adds_up(scheme: Uniform | Random | Skew) -> None:
    for payload in scheme.payloads():
        assert payload.count == len(payload.sizes) == scheme.count
        assert payload.total == sum(payload.sizes)
        assert set(payload.sizes) <= {scheme.size(category) for category in scheme.categories}


@given(customs)
def test_custom_buffers_are_the_payload(scheme: Custom) -> None:
    assert len(_sizes(scheme)) == len(scheme.buffers)


@given(uniforms)
def test_uniform_is_as_even_as_can_be_and_favours_the_first_named(scheme: Uniform) -> None:
    shares = [_sizes(scheme).count(scheme.size(category)) for category in scheme.categories]
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@given(uniforms)
def test_uniform_goes_round_its_categories_in_the_order_given(scheme: Uniform) -> None:
    around = [scheme.size(category) for category in scheme.categories]
    assert list(_sizes(scheme)) == [around[i % len(around)] for i in range(scheme.count)]


@given(skews())
def test_skew_is_within_one_buffer_of_its_weights(scheme: Skew) -> None:
    shares = scheme.weights or (60, 30, 10)[: len(scheme.categories)]
    ranked = [scheme.bias, *(c for c in CATEGORIES if c in scheme.categories and c != scheme.bias)]
    for category, weight in zip(ranked, shares, strict=True):
        count = _sizes(scheme).count(scheme.size(category))
        assert abs(count - scheme.count * weight / sum(shares)) < 1 + 1e-9


@given(randoms)
def test_random_draws_one_payload_or_as_many_as_asked_beginning_with_the_same(scheme: Random) -> None:
    assert len(scheme.payloads()) == (1 if scheme.draw == "fixed" else scheme.draws)
    assert scheme.payloads()[0] == msgspec.structs.replace(scheme, draw="fixed").payloads()[0]


@given(st.integers(0, 1000), st.lists(weights, min_size=1, max_size=5))
def test_apportioned_counts_add_up(count: int, shares: list[float]) -> None:
    assert sum(apportion(count, shares)) == count
    assert min(apportion(count, shares)) >= 0


def test_apportion_gives_ties_to_the_earlier_and_takes_decimals_as_written() -> None:
    assert apportion(1, [1, 1]) == [1, 0]
    assert apportion(5, [0.1, 0.7, 0.2]) == [1, 3, 1]
    assert apportion(10, [0.6, 0.3, 0.1]) == [6, 3, 1]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=3))
def test_spread_uses_every_count_and_keeps_each_category_in_step(shares: list[int]) -> None:
    names = CATEGORIES[: len(shares)]
    order = spread(names, shares)
    assert [order.count(name) for name in names] == shares
    for done in range(len(order) + 1):
        for name, share in zip(names, shares, strict=True):
            due = share * done / len(order) if order else 0
            assert abs(order[:done].count(name) - due) < len(shares)


@pytest.mark.parametrize("category", CATEGORIES)
def test_sizes_stay_within_table_1(category: Category) -> None:
    low, high = RANGES[category]
    for size in (low, high):
        assert msgspec.convert({category: size}, CategorySizes).size(category) == size
    for outside in (low - 1, high + 1):
        with pytest.raises(SpecError, match=f"^{category} is {outside}, but must be {low} to {high} B"):
            msgspec.convert({category: outside}, CategorySizes)


def test_table_1_has_no_gaps() -> None:
    assert RANGES["small"][0] == 1
    assert RANGES["small"][1] + 1 == RANGES["medium"][0] == 1000
    assert RANGES["medium"][1] + 1 == RANGES["large"][0] == 1_000_000
    assert RANGES["large"][1] == 10_000_000


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Uniform(count=0), "^count is 0, but must be 1 to 1000000 buffers"),
        (lambda: Random(count=MAX_BUFFERS + 1), "^count is 1000001"),
        (lambda: Skew(count=-1), "^count is -1"),
        (lambda: Uniform(categories=()), "^categories is .* 1 to 3 of large, medium, small"),
        (lambda: Uniform(categories=("large", "large")), "^categories is .* each once"),
        (lambda: Random(categories=("large",)), "^categories is .* 2 to 3 of large, medium, small"),
        (lambda: Skew(categories=("large",)), "^categories is .* 2 to 3 of large, medium, small"),
        (lambda: Random(seed=-1), "^seed is -1"),
        (lambda: Random(draws=0), "^draws is 0"),
        (lambda: Random(count=500_000, draw="per-call", draws=3), "^draws is 3, but must be 1 to 2"),
        (lambda: Skew(categories=("large", "medium"), bias="small"), "^bias is 'small', .*: large, medium"),
        (lambda: Skew(weights=(1.0,)), "^weights is .* 3 positive numbers, for large:medium:small"),
        (lambda: Skew(weights=(1.0, 0.0, 1.0)), "^weights is"),
        (lambda: Skew(weights=(1.0, float("nan"), 1.0)), "^weights is"),
        (lambda: Skew(weights=(1.0, float("inf"), 1.0)), "^weights is"),
        (lambda: Custom(buffers=()), "^buffers is 0, but must be 1 to"),
        (
            lambda: Custom(buffers=(Bytes(0),)),
            "^buffers is 0, but must be categories or sizes of 1 B to 2 GiB",
        ),
        (lambda: Custom(buffers=(Bytes(MAX_BUFFER + 1),)), "^buffers is 2147483649"),
        (lambda: Payload(sizes=()), "^count is 0"),
        (lambda: Payload(sizes=(Bytes(0),)), "^buffer is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(build: Callable[[], object], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        build()


def test_many_buffers_need_no_draws_changed_when_one_payload_is_drawn() -> None:
    assert Random(count=100_000).payloads()[0].count == 100_000


@pytest.mark.parametrize("tag", ["uniform", "random", "skew"])
def test_a_scheme_is_refused_from_a_file_as_from_code(tag: str) -> None:
    with pytest.raises(SpecError, match=r"^count is 0"):
        msgspec.json.decode(f'{{"scheme": "{tag}", "count": 0}}'.encode(), type=Scheme)
    with pytest.raises(msgspec.ValidationError, match="unknown field `cuont`"):
        msgspec.json.decode(f'{{"scheme": "{tag}", "cuont": 1}}'.encode(), type=Scheme)


def test_schemes_are_read_from_words() -> None:
    words = read(Custom, {"buffers": "large,small,4MiB", "small": "32"})
    custom = msgspec.convert(words, Custom, strict=False)
    assert custom == Custom(buffers=("large", "small", Bytes(4194304)), small=Bytes(32))
    words = read(Skew, {"count": "20", "categories": "small,large", "weights": "3,1", "bias": "small"})
    skew = msgspec.convert(words, Skew, strict=False)
    assert skew == Skew(count=20, categories=("small", "large"), weights=(3.0, 1.0), bias="small")


@pytest.mark.parametrize(
    ("scheme", "line"),
    [
        (Uniform(), "uniform: 10 buffers = 4 large + 3 medium + 3 small, 4.03 MB"),
        (Uniform(count=1), "uniform: 1 buffer = 1 large, 1 MB"),
        (Random(), "random, seed 1: 10 buffers = 4 large + 3 medium + 3 small, 4.03 MB"),
        (
            Random(draw="per-call", categories=("medium", "small"), count=1, draws=2),
            "random per call, seed 1: 2 payloads of 1 buffer in turn, 10 B to 10 KB, mean 5005 B",
        ),
        (
            Skew(),
            "skew to large (large:medium:small = 60:30:10): 10 buffers = 6 large + 3 medium + 1 small, 6.03 MB",
        ),
        (
            Custom(buffers=("large", "small", Bytes(4194304))),
            "custom: 3 buffers = large + small + 4 MiB, 5.19 MB",
        ),
        (Custom(buffers=("small",) * 11), "custom: 11 buffers = mixed sizes, 110 B"),
    ],
)
def test_a_scheme_describes_itself_in_one_line(scheme: Scheme, line: str) -> None:
    assert scheme.describe() == line


@given(schemes)
def test_every_description_is_one_line_that_names_the_scheme(scheme: Scheme) -> None:
    assert scheme.describe().startswith(str(scheme.__struct_config__.tag))
    assert "\n" not in scheme.describe()
