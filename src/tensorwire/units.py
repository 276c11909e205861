"""Whole bytes and whole nanoseconds inside; units only where people type and read."""

import re
import types
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, NewType, Union, get_args, get_origin

import msgspec

from tensorwire.errors import SpecError

Bytes = NewType("Bytes", int)
Nanoseconds = NewType("Nanoseconds", int)

_DECIMAL = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
# kb, kB, KB and kib, kiB, KiB, KIB, but never Kb or Mb: those read as bits.
_SIZE_SPELLINGS = {
    spelling: size
    for unit, size in (_DECIMAL | _BINARY).items()
    for spelling in (unit, unit.lower(), unit.upper(), unit[0].lower() + unit[1:])
}
_DURATIONS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_DURATION_SPELLINGS = _DURATIONS | {"m": 60 * 10**9, "h": 3600 * 10**9}

_SIZE_ALLOWED = (
    "a whole number of bytes below 2^63, such as 10, 10B, 10KB or 1.5MiB (KB = 1e3, KiB = 2^10; K, M, G or T)"
)
_DURATION_ALLOWED = "a whole number of nanoseconds below 2^63, such as 10s, 500ms, 250us, 100ns, 2m or 1h"
_BIT_RATES = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_QUANTITY = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([A-Za-z]*)\s*")


def parse_size(text: str, field: str = "size") -> Bytes:
    """The bytes that `text` means; a bare number is bytes. SpecError, naming `field`, for anything else."""
    size = _whole(text, _SIZE_SPELLINGS, "B")
    if size is None:
        raise SpecError(field, text, _SIZE_ALLOWED)
    return Bytes(size)


def parse_duration(text: str, field: str = "duration", bare: Literal["s", "ns"] = "s") -> Nanoseconds:
    """The nanoseconds that `text` means, a bare number in `bare`. SpecError, naming `field`, for the rest."""
    duration = _whole(text, _DURATION_SPELLINGS, bare)
    if duration is None:
        raise SpecError(field, text, f"{_DURATION_ALLOWED}; a bare number is in {bare}")
    return Nanoseconds(duration)


def parse_bit_rate(text: str) -> int | None:
    """The bits a second that `text` means, such as 2.5gbit or 100mbit; None for anything else."""
    return _whole(text.lower(), _BIT_RATES, "")


def parse_share(text: str, field: str) -> float:
    """The share that `text` means: 1% is 0.01. SpecError, naming `field`, for anything else."""
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number + rest)
    except ValueError as wrong:
        raise SpecError(field, text, "a share, such as 1% or 0.01") from wrong
    return share / 100 if percent else share


def format_size(size: int) -> str:
    """Exact in at most two decimals where KB = 1e3 or KiB = 2^10 allows it, else three digits of KB, MB, ...

    A rounded size shows all its three digits, "1.00 MB", where an exact one is "1 MB". Sizes that are not
    exact and below 10,000 are whole bytes.
    """
    exact = [text for system in (_DECIMAL, _BINARY) if (text := _exact(size, system)) is not None]
    if exact:
        return min(exact, key=_decimals)
    return format_total(size)


def format_total(size: int) -> str:
    """Whole bytes below 10,000, else three digits of KB, MB, ...: alike in every row of a table."""
    return f"{size} B" if size < 10_000 else _three_digits(size, _DECIMAL)


def format_duration(elapsed_ns: float) -> str:
    """Three significant digits of ns, us, ms or s; whole nanoseconds below 1 us are exact."""
    if isinstance(elapsed_ns, int) and abs(elapsed_ns) < 1000:
        return f"{elapsed_ns} ns"
    return _three_digits(elapsed_ns, _DURATIONS)


def format_rate(bytes_per_second: float) -> str:
    """Three significant digits of B/s, KB/s, MB/s, ...; MB/s is 1e6 bytes per second."""
    return f"{_three_digits(bytes_per_second, _DECIMAL)}/s"


def format_bit_rate(bits_per_second: int) -> str:
    """Such as 10 Gbit/s or 2.5 Gbit/s, exact."""
    scale, unit = next((s, u) for s, u in ((10**9, "G"), (10**6, "M"), (10**3, "k"), (1, "")) if bits_per_second >= s)
    return f"{bits_per_second / scale:.12g} {unit}bit/s"


def read(struct_type: type[msgspec.Struct], words: Mapping[str, object], noun: str = "field") -> dict[str, object]:
    """The `words` of a command line or file as `msgspec.convert(..., struct_type, strict=False)` wants them.

    Sizes and durations are read with their units, one comma-separated text becomes a list where a tuple is
    meant, and a field `x_ns` may be given as `x`. A bare number is nanoseconds under the name `x_ns`, seconds
    under `x`. SpecError for names that the type does not have, `noun` saying of what, and for a text that is none
    of the choices.
    """
    kinds = {f.encode_name: f.type for f in msgspec.structs.fields(struct_type)}
    short = {name.removesuffix("_ns"): name for name, kind in kinds.items() if Nanoseconds in _members(kind)}
    config = struct_type.__struct_config__
    ready: dict[str, object] = {}
    for word, value in words.items():
        name = short.get(word, word)
        if name in ready:
            raise SpecError(word, value, f"given once, as {name} or as {name.removesuffix('_ns')}")
        if name in kinds:
            ready[name] = _natural(kinds[name], word, value)
        elif word == config.tag_field:
            ready[word] = value
        else:
            typed = [name.removesuffix("_ns") if name in short.values() else name for name in kinds]
            raise SpecError.unknown(noun, word, typed)
    return ready


def _natural(kind: Any, word: str, value: object) -> object:
    """`value` with its units read where `kind` is a size or a duration, alone, in a union or in a tuple."""
    members = _members(kind)
    sequence = next((member for member in members if get_origin(member) is tuple), None)
    if sequence is not None and isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if sequence is not None and isinstance(value, list | tuple):
        return [_natural(get_args(sequence)[0], word, part) for part in value]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    choices = [choice for member in members if get_origin(member) is Literal for choice in get_args(member)]
    if value in choices:
        return value
    if Bytes in members:
        return _size_or(choices, str(value), word)
    if Nanoseconds in members:
        return parse_duration(str(value), word, "ns" if word.endswith("_ns") else "s")
    if choices:
        raise SpecError.unknown(word, str(value), choices)
    return value


def _size_or(choices: Sequence[str], text: str, word: str) -> Bytes:
    try:
        return parse_size(text, word)
    except SpecError as wrong:
        allowed = " or ".join([*choices, wrong.allowed])
        raise SpecError(word, text, allowed) from wrong


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _whole(text: str, units: Mapping[str, int], bare: str) -> int | None:
    match = _QUANTITY.fullmatch(text)
    unit = units.get(match[2] or bare) if match else None
    if match is None or unit is None:
        return None
    value = Fraction(match[1]) * unit
    return int(value) if value.denominator == 1 and value < 2**63 else None


def _exact(size: int, units: Mapping[str, int]) -> str | None:
    fitting = [(unit, scale) for unit, scale in units.items() if scale <= max(size, 1)]
    if not fitting:
        return None
    unit, scale = fitting[-1]
    hundredths, rest = divmod(size * 100, scale)
    if rest:
        return None
    whole, part = divmod(hundredths, 100)
    return f"{whole}.{part:02}".rstrip("0").rstrip(".") + f" {unit}"


def _decimals(text: str) -> int:
    return len(text.partition(" ")[0].partition(".")[2])


def _three_digits(value: float, units: Mapping[str, int]) -> str:
    # What would round to 1000 goes to the next unit; beyond the last there is none.
    unit = next((unit for unit, scale in units.items() if abs(value / scale) < 999.5), list(units)[-1])
    scaled = value / units[unit]
    decimals = 2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0
    return f"{scaled:.{decimals}f} {unit}"
