"""Our versioned JSON files: told from anything else, read whole or not at all."""

from typing import TypeVar

import msgspec

from tensorwire.errors import FileFormatError, SpecError

T = TypeVar("T", bound=msgspec.Struct)


class _Head(msgspec.Struct):
    format: str = ""
    version: int = 0


def decode(data: bytes, kind: type[T], name: str) -> T:
    """The value of `kind` that a file's bytes hold; the defaults of its fields `format` and `version` say what is read.

    Raises FileFormatError, `name` naming the culprit, for what is not such a file, damaged, or from a newer version.
    """
    meant = _defaults(kind)
    what = meant.format.rpartition(".")[2]
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.DecodeError as wrong:
        raise FileFormatError(f"{name} is not a {what}, or is damaged: {wrong}") from wrong
    if head.format != meant.format:
        raise FileFormatError(f"{name} is not a tensorwire {what} (its format is {head.format or 'not given'!r})")
    if head.version > meant.version:
        raise FileFormatError(
            f"{name} has version {head.version}, from a newer tensorwire; upgrade to read it (this one reads "
            f"{meant.version})"
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, SpecError) as wrong:
        raise FileFormatError(f"{name} is damaged: {wrong}") from wrong


def holds(data: bytes, kind: type[msgspec.Struct]) -> bool:
    """Whether bytes claim to be a file of `kind`, whatever its version and its state."""
    try:
        return msgspec.json.decode(data, type=_Head).format == _defaults(kind).format
    except msgspec.DecodeError:
        return False


def schema(kind: type[msgspec.Struct]) -> dict[str, object]:
    """The JSON Schema of a file of `kind`."""
    title = _defaults(kind).format
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **msgspec.json.schema(kind)}


def _defaults(kind: type[msgspec.Struct]) -> _Head:
    known = {field.name: field.default for field in msgspec.structs.fields(kind)}
    return _Head(format=known["format"], version=known["version"])
