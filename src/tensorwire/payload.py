"""Payloads, and the schemes that draw them; what the paper leaves open is defined here.

Categories and their ranges are Table 1 of "Designing a Micro-Benchmark Suite to Evaluate gRPC for TensorFlow"
(arXiv 1804.01138), in decimal units: small [1 B, 1 KB), medium [1 KB, 1 MB), large [1 MB, 10 MB].
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from tensorwire.errors import SpecError
from tensorwire.units import Bytes, format_size

Category = Literal["large", "medium", "small"]

CATEGORIES: tuple[Category, ...] = ("large", "medium", "small")
RANGES: dict[Category, tuple[Bytes, Bytes]] = {  # smallest and largest, both allowed
    "large": (Bytes(1_000_000), Bytes(10_000_000)),
    "medium": (Bytes(1000), Bytes(999_999)),
    "small": (Bytes(1), Bytes(999)),
}
MAX_BUFFERS = 1_000_000
MAX_BUFFER = Bytes(2**31)


class Payload(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The sizes of one message's iovec buffers, in wire order."""

    sizes: tuple[Bytes, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.sizes) <= MAX_BUFFERS:
            raise SpecError("count", len(self.sizes), f"1 to {MAX_BUFFERS} buffers")
        for size in self.sizes:
            if not 1 <= size <= MAX_BUFFER:
                raise SpecError("buffer", size, f"1 B to {format_size(MAX_BUFFER)}")

    @property
    def total(self) -> Bytes:
        return Bytes(sum(self.sizes))

    @property
    def count(self) -> int:
        return len(self.sizes)


class CategorySizes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of a buffer of each category, each within its range of Table 1."""

    small: Bytes = Bytes(10)
    medium: Bytes = Bytes(10_000)
    large: Bytes = Bytes(1_000_000)

    def __post_init__(self) -> None:
        for category, (low, high) in RANGES.items():
            size = self.size(category)
            if not low <= size <= high:
                raise SpecError(category, size, f"{low} to {high} B")

    def size(self, category: Category) -> Bytes:
        return {"small": self.small, "medium": self.medium, "large": self.large}[category]

    def payload(self, categories: Sequence[Category]) -> Payload:
        """One buffer for each of the `categories`, in order."""
        return Payload(sizes=tuple(self.size(category) for category in categories))


class Uniform(CategorySizes, frozen=True, kw_only=True, tag_field="scheme", tag="uniform"):
    """Buffers split over the categories as evenly as can be, the first named taking what is left over.

    The order is smooth weighted round-robin over the counts, ties to the first named: ten buffers of three
    categories are L M S L M S L M S L.
    """

    count: int = 10
    categories: tuple[Category, ...] = CATEGORIES

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_count("count", self.count)
        _check_categories(self.categories, at_least=1)

    def payloads(self) -> tuple[Payload, ...]:
        return (self.payload(self._order()),)

    def describe(self) -> str:
        return f"uniform: {_composition(self._order(), self.payloads()[0])}"

    def _order(self) -> list[Category]:
        each, left = divmod(self.count, len(self.categories))
        return spread(self.categories, [each + (i < left) for i in range(len(self.categories))])


class Random(CategorySizes, frozen=True, kw_only=True, tag_field="scheme", tag="random"):
    """The category of each buffer drawn from a seed, each category as likely as the others.

    `draw="fixed"` makes one payload that every call sends; "per-call" makes `draws` of them, drawn one after
    the other, that the calls send in turn. The generator is Python's Mersenne Twister, one `random()` for
    each buffer.
    """

    count: int = 10
    categories: tuple[Category, ...] = CATEGORIES
    seed: int = 1
    draw: Literal["fixed", "per-call"] = "fixed"
    draws: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_count("count", self.count)
        _check_categories(self.categories, at_least=2)
        if not 0 <= self.seed < 2**63:
            raise SpecError("seed", self.seed, "0 or more, and below 2^63")
        most = MAX_BUFFERS // self.count if self.draw == "per-call" else MAX_BUFFERS
        if not 1 <= self.draws <= most:
            raise SpecError("draws", self.draws, f"1 to {most}, for at most {MAX_BUFFERS} buffers in all")

    def payloads(self) -> tuple[Payload, ...]:
        return tuple(self.payload(order) for order in self._orders())

    def describe(self) -> str:
        payloads = self.payloads()
        if self.draw == "fixed":
            return f"random, seed {self.seed}: {_composition(self._orders()[0], payloads[0])}"
        totals = [payload.total for payload in payloads]
        sizes = f"{format_size(min(totals))} to {format_size(max(totals))}"
        mean = format_size(sum(totals) // len(totals))
        drawn = f"{self.draws} payloads of {_buffers(self.count)} in turn"
        return f"random per call, seed {self.seed}: {drawn}, {sizes}, mean {mean}"

    def _orders(self) -> list[list[Category]]:
        generator = random.Random(self.seed)
        choices = len(self.categories)
        return [
            [self.categories[int(generator.random() * choices)] for _ in range(self.count)]
            for _ in range(1 if self.draw == "fixed" else self.draws)
        ]


class Skew(CategorySizes, frozen=True, kw_only=True, tag_field="scheme", tag="skew"):
    """Buffers split by weight, the bias category first and then the others, the larger before the smaller.

    The weights are 60, 30 and 10 (with two categories 60 and 30) unless given in that order. Counts go by
    largest remainder, ties to the earlier category; the order is smooth weighted round-robin over the counts:
    ten large-biased buffers are L M L L M L S L M L.
    """

    count: int = 10
    categories: tuple[Category, ...] = CATEGORIES
    bias: Category = "large"
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_count("count", self.count)
        _check_categories(self.categories, at_least=2)
        if self.bias not in self.categories:
            raise SpecError("bias", self.bias, f"one of the categories: {', '.join(self.categories)}")
        weights = self._weights()
        if len(weights) != len(self.categories) or not all(0 < weight < math.inf for weight in weights):
            allowed = f"{len(self.categories)} positive numbers, for {self._names()}"
            raise SpecError("weights", weights, allowed)

    def payloads(self) -> tuple[Payload, ...]:
        return (self.payload(self._order()),)

    def describe(self) -> str:
        weights = ":".join(f"{weight:g}" for weight in self._weights())
        composition = _composition(self._order(), self.payloads()[0])
        return f"skew to {self.bias} ({self._names()} = {weights}): {composition}"

    def _ranked(self) -> list[Category]:
        return [self.bias, *(c for c in CATEGORIES if c in self.categories and c != self.bias)]

    def _names(self) -> str:
        return ":".join(self._ranked())

    def _weights(self) -> tuple[float, ...]:
        return (60.0, 30.0, 10.0)[: len(self.categories)] if self.weights is None else self.weights

    def _order(self) -> list[Category]:
        return spread(self._ranked(), apportion(self.count, self._weights()))


class Custom(CategorySizes, frozen=True, kw_only=True, tag_field="scheme", tag="custom"):
    """Exactly these buffers in this order, each a category or a size of 1 B to 2 GiB."""

    buffers: tuple[Category | Bytes, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_count("buffers", len(self.buffers))
        for buffer in self.buffers:
            if isinstance(buffer, int) and not 1 <= buffer <= MAX_BUFFER:
                raise SpecError("buffers", buffer, f"categories or sizes of 1 B to {format_size(MAX_BUFFER)}")

    def payloads(self) -> tuple[Payload, ...]:
        return (Payload(sizes=tuple(b if isinstance(b, int) else self.size(b) for b in self.buffers)),)

    def describe(self) -> str:
        named = [buffer if isinstance(buffer, str) else format_size(buffer) for buffer in self.buffers]
        parts = " + ".join(named) if len(named) <= 10 else "mixed sizes"
        return f"custom: {_sum(parts, self.payloads()[0])}"


def apportion(count: int, weights: Sequence[float]) -> list[int]:
    """`count` split in proportion to `weights` by largest remainder, ties to the earlier."""
    exact = [Fraction(str(weight)) for weight in weights]  # as written: 0.1 is a tenth
    quotas = [count * weight / sum(exact) for weight in exact]
    counts = [math.floor(quota) for quota in quotas]
    # The sort is stable, so that ties keep their order.
    by_remainder = sorted(range(len(quotas)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: count - sum(counts)]:
        counts[i] += 1
    return counts


def spread(categories: Sequence[Category], counts: Sequence[int]) -> list[Category]:
    """Each category as often as counted, in nginx's smooth weighted round-robin, ties to the earlier."""
    total = sum(counts)
    current = [0] * len(counts)
    order: list[Category] = []
    for _ in range(total):
        current = [level + count for level, count in zip(current, counts, strict=True)]
        chosen = current.index(max(current))
        current[chosen] -= total
        order.append(categories[chosen])
    return order


def _composition(order: Sequence[Category], payload: Payload) -> str:
    counts = Counter(order)
    return _sum(" + ".join(f"{counts[c]} {c}" for c in CATEGORIES if c in counts), payload)


def _sum(parts: str, payload: Payload) -> str:
    total = format_size(payload.total)
    return f"{_buffers(payload.count)} = {parts}" + (f", {total}" if parts != total else "")


def _buffers(count: int) -> str:
    return "1 buffer" if count == 1 else f"{count} buffers"


def _check_count(field: str, count: int) -> None:
    if not 1 <= count <= MAX_BUFFERS:
        raise SpecError(field, count, f"1 to {MAX_BUFFERS} buffers")


def _check_categories(categories: tuple[Category, ...], at_least: int) -> None:
    if not at_least <= len(set(categories)) == len(categories):
        raise SpecError("categories", categories, f"{at_least} to 3 of {', '.join(CATEGORIES)}, each once")
    for category in categories:
        if category not in CATEGORIES:
            raise SpecError.unknown("category", category, CATEGORIES)
