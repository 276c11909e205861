"""The names of remote procedures, from the header blocks that clients sent."""

from collections.abc import Iterable

from tensorwire.instruments.tap_log import END_HEADERS, Headers

LACKING = "remote procedures have no names: pip install 'tensorwire[capture]' and capture again"
SPOILT = "some remote procedures have no names: their headers could not be read"

_TABLE_BYTES = 1 << 24  # far above what any peer allows: what was sent was allowed
_PATH = b":path"


def methods(blocks: Iterable[Headers]) -> tuple[dict[int, str], str]:
    """Of one connection: the path that each stream asked for; and a note when not all could be read."""
    try:
        from hpack import Decoder
        from hpack.exceptions import HPACKError
    except ImportError:
        return {}, LACKING
    decoder = Decoder(max_header_list_size=_TABLE_BYTES)
    decoder.max_allowed_table_size = _TABLE_BYTES
    found: dict[int, str] = {}
    block = b""
    for part in blocks:
        block += part.fragment
        if not part.flags & END_HEADERS:
            continue
        try:
            fields = decoder.decode(block, raw=True)
        except HPACKError:
            return found, SPOILT
        block = b""
        for name, value in fields:
            if name == _PATH:
                found[part.stream] = bytes(value).partition(b"?")[0].decode(errors="replace")
    return found, ""
