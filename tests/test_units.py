"""Sizes and durations as people type and read them."""

from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorwire.errors import SpecError
from tensorwire.units import (
    Bytes,
    Nanoseconds,
    format_bit_rate,
    format_duration,
    format_rate,
    format_size,
    parse_bit_rate,
    parse_duration,
    parse_size,
    read,
)

DECIMAL = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SIZES = DECIMAL | BINARY
DURATIONS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10", 10),
        ("10B", 10),
        ("10b", 10),
        ("10KB", 10_000),
        ("10kB", 10_000),
        ("10kb", 10_000),
        ("10KiB", 10_240),
        ("10kib", 10_240),
        ("10KIB", 10_240),
        ("1.5MiB", 1_572_864),
        (" 4 MiB ", 4_194_304),
        ("4.03003MB", 4_030_030),
        ("0", 0),
    ],
)
def test_a_size_is_read_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "10K",
        "10M",
        "10Ki",
        "10Kb",
        "10Mb",
        "10iB",
        "1.5",
        "0.1KiB",
        "-1",
        "+1",
        "1e3",
        "",
        "B",
        "ten",
        "1,000",
        "٣",
        "8388608TiB",
        "9" * 5000,
    ],
)
def test_a_size_that_is_ambiguous_or_not_whole_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"^largest is .*KB = 1e3, KiB = 2\^10") as refused:
        parse_size(text, field="largest")
    assert repr(text) in str(refused.value)


@given(st.integers(0, 2**20), st.sampled_from(sorted(SIZES)))
def test_every_unit_is_what_it_says(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == parse_size(f"{number} {unit.lower()}") == number * SIZES[unit]


@given(st.integers(1, 999), st.sampled_from(sorted(SIZES)))
def test_whole_numbers_of_a_unit_survive_a_round_trip(number: int, unit: str) -> None:
    assert parse_size(format_size(number * SIZES[unit])) == number * SIZES[unit]


@given(st.integers(0, 2**62))
def test_a_size_is_shown_within_half_a_percent(size: int) -> None:
    number, unit = format_size(size).split()
    shown = float(number) * SIZES[unit]
    assert abs(shown - size) <= size * 0.005
    assert size >= 10_000 or shown == size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (10, "10 B"),
        (1000, "1 KB"),
        (1024, "1 KiB"),
        (1032, "1032 B"),
        (1500, "1.5 KB"),
        (1536, "1.5 KiB"),
        (10_000, "10 KB"),
        (10_240, "10 KiB"),
        (65_536, "64 KiB"),
        (1_000_000, "1 MB"),
        (1_048_576, "1 MiB"),
        (4_030_030, "4.03 MB"),
        (6_030_010, "6.03 MB"),
        (999_999, "1.00 MB"),
        (4_000_030, "4.00 MB"),
        (2**31, "2 GiB"),
    ],
)
def test_a_size_is_shown_in_the_system_that_fits(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("10", 10**10),
        ("10s", 10**10),
        ("500ms", 5 * 10**8),
        ("2m", 120 * 10**9),
        ("1h", 3600 * 10**9),
        ("250us", 250_000),
        ("100ns", 100),
        ("0.5", 5 * 10**8),
        ("1.5 us", 1500),
    ],
)
def test_a_duration_is_read_with_its_unit(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["10M", "10S", "10 sec", "0.5ns", "-1s", "1e3s", "", "soon", "300000000h"])
def test_a_duration_that_is_not_whole_nanoseconds_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"^warmup is .*500ms, 250us"):
        parse_duration(text, field="warmup")


@given(st.integers(0, 10**6), st.sampled_from(sorted(DURATIONS)))
def test_every_unit_of_time_is_what_it_says(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * DURATIONS[unit]


@given(st.integers(0, 10**14))
def test_a_duration_is_shown_within_half_a_percent_and_can_be_typed_again(duration: int) -> None:
    assert abs(parse_duration(format_duration(duration)) - duration) <= duration * 0.005


@pytest.mark.parametrize(
    ("elapsed_ns", "text"),
    [
        (0, "0 ns"),
        (100, "100 ns"),
        (1000, "1.00 us"),
        (52_100, "52.1 us"),
        (1_200_000, "1.20 ms"),
        (999_999, "1.00 ms"),
        (2.5e9, "2.50 s"),
        (3600e9, "3600 s"),
        (52.25, "52.2 ns"),
        (-1500, "-1.50 us"),
    ],
)
def test_a_duration_is_shown_in_three_digits(elapsed_ns: float, text: str) -> None:
    assert format_duration(elapsed_ns) == text


def test_a_rate_is_decimal() -> None:
    assert [format_rate(rate) for rate in (12, 4.8e9, 812e6)] == ["12.0 B/s", "4.80 GB/s", "812 MB/s"]


class _Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="ask"):
    sizes: tuple[Bytes, ...] = ()
    limit: Bytes | None = None
    warmup_ns: Nanoseconds = Nanoseconds(2_000_000_000)
    buffers: tuple[Literal["large", "small"] | Bytes, ...] = ()
    weights: tuple[float, ...] | None = None
    outstanding: int = 1
    pin: bool = False


def _asked(**words: object) -> _Asked:
    return msgspec.convert(read(_Asked, words), _Asked, strict=False)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ({}, _Asked()),
        (
            {"sizes": "32, 64KiB,1MiB", "limit": "1GB", "warmup": "500ms", "outstanding": "8", "pin": "true"},
            _Asked(
                sizes=(Bytes(32), Bytes(65536), Bytes(1048576)),
                limit=Bytes(10**9),
                warmup_ns=Nanoseconds(500_000_000),
                outstanding=8,
                pin=True,
            ),
        ),
        ({"sizes": ["1KB", 7]}, _Asked(sizes=(Bytes(1000), Bytes(7)))),
        ({"buffers": "large,small,4MiB"}, _Asked(buffers=("large", "small", Bytes(4194304)))),
        ({"weights": "60,30,10"}, _Asked(weights=(60.0, 30.0, 10.0))),
        ({"limit": None, "kind": "ask"}, _Asked()),
        ({"warmup": 3}, _Asked(warmup_ns=Nanoseconds(3_000_000_000))),
        ({"warmup": 0.5}, _Asked(warmup_ns=Nanoseconds(500_000_000))),
        ({"warmup_ns": 3}, _Asked(warmup_ns=Nanoseconds(3))),
        ({"warmup_ns": "3"}, _Asked(warmup_ns=Nanoseconds(3))),
        ({"warmup_ns": "3s"}, _Asked(warmup_ns=Nanoseconds(3_000_000_000))),
    ],
)
def test_words_become_values(words: dict[str, object], asked: _Asked) -> None:
    assert _asked(**words) == asked


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            {"outstandign": 1},
            r"^unknown field 'outstandign'; did you mean outstanding\? known: buffers, ",
        ),
        ({"warmpu": 1}, "did you mean warmup[?]"),
        ({"sizes": "32,64K"}, "^sizes is '64K', but must be .*KB = 1e3"),
        ({"sizes": ""}, "^sizes is ''"),
        ({"limit": -1}, "^limit is '-1'"),
        ({"warmup": "soon"}, "^warmup is 'soon'.* a bare number is in s$"),
        ({"warmup": 1, "warmup_ns": 1}, "^warmup_ns is 1, but must be given once"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: dict[str, object], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        read(_Asked, words)


def test_what_was_read_reads_the_same_again() -> None:
    once = read(_Asked, {"sizes": "32,64KiB", "warmup": "2s", "buffers": "large,1KB"})
    assert read(_Asked, once) == once


def test_rates_of_networks_are_bits_a_second() -> None:
    for text, rate in (("10gbit", 10**10), ("2.5Gbit", 2_500_000_000), ("100mbit", 10**8), ("64kbit", 64_000)):
        assert parse_bit_rate(text) == rate
    for text in ("10", "10gb", "gbit", "", "-1gbit", "0.3kb"):
        assert parse_bit_rate(text) is None
    written = [format_bit_rate(rate) for rate in (10**10, 2_500_000_000, 10**8, 64_000, 7)]
    assert written == ["10 Gbit/s", "2.5 Gbit/s", "100 Mbit/s", "64 kbit/s", "7 bit/s"]
