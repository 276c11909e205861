"""What a profile amounts to: messages, bytes and buffers, in all and by stream, method and step."""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import TypeVar

from msgspec import Struct

from tensorwire.profile import LARGE_FROM, MEDIUM_FROM, Message, Profile

CATEGORIES = ("small", "medium", "large")
_BIN_FACTOR = 4

K = TypeVar("K", bound=Hashable)


class Tally(Struct, frozen=True, kw_only=True):
    """Some messages; their buffers and the bytes in these by category, in the order of CATEGORIES."""

    messages: int
    buffers: tuple[int, ...]
    bytes: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.bytes)


class Bin(Struct, frozen=True, kw_only=True):
    """The buffers from `low` bytes up to, and without, `high`."""

    low: int
    high: int
    buffers: int
    bytes: int


def category(size: int) -> int:
    """The index in CATEGORIES of a buffer of `size` bytes."""
    return (size >= MEDIUM_FROM) + (size >= LARGE_FROM)


def by(profile: Profile, key: Callable[[Message], K]) -> dict[K, Tally]:
    """The steady messages in groups of the same key, in the order in which the keys first come."""
    found: dict[K, Counter[int]] = {}
    for message in profile.steady:
        found.setdefault(key(message), Counter())[message[2]] += 1
    contents = [_content(sizes) for sizes in profile.payloads]
    return {each: _tally(payloads, contents) for each, payloads in found.items()}


def whole(profile: Profile) -> Tally:
    """All steady messages together."""
    nothing = Tally(messages=0, buffers=(0, 0, 0), bytes=(0, 0, 0))
    return by(profile, lambda _: None).get(None, nothing)


def bins(profile: Profile) -> tuple[Bin, ...]:
    """The steady buffers by size, from the smallest to the largest: [0, 1) and then powers of 4, so that 1 KiB and
    1 MiB are bounds."""
    buffers: Counter[int] = Counter()
    volume: Counter[int] = Counter()
    for size, times in profile.buffer_sizes().items():
        buffers[_bin(size)] += times
        volume[_bin(size)] += size * times
    if not buffers:
        return ()
    return tuple(
        Bin(
            low=_BIN_FACTOR ** (index - 1) if index else 0,
            high=_BIN_FACTOR**index,
            buffers=buffers[index],
            bytes=volume[index],
        )
        for index in range(min(buffers), max(buffers) + 1)
    )


def binary(size: int) -> str:
    """A power of 2 in binary units, without decimals."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    power = max(size.bit_length() - 1, 0) // 10
    return f"{size >> (10 * power)} {units[power]}"


_Content = tuple[tuple[int, ...], tuple[int, ...]]


def _content(sizes: tuple[int, ...]) -> _Content:
    buffers, volume = [0] * len(CATEGORIES), [0] * len(CATEGORIES)
    for size in sizes:
        buffers[category(size)] += 1
        volume[category(size)] += size
    return tuple(buffers), tuple(volume)


def _tally(payloads: Counter[int], contents: list[_Content]) -> Tally:
    def summed(part: int) -> tuple[int, ...]:
        parts = ((times, contents[payload][part]) for payload, times in payloads.items())
        return tuple(map(sum, zip(*([times * each for each in content] for times, content in parts), strict=True)))

    return Tally(messages=payloads.total(), buffers=summed(0), bytes=summed(1))


def _bin(size: int) -> int:
    return (size.bit_length() + 1) // 2
