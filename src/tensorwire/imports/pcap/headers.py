"""What a direction's header blocks say (HPACK, RFC 7541), also when what was said before is not known."""

from hpack import Decoder
from hpack.exceptions import HPACKError

_TABLE_BYTES = 1 << 24  # far above what any peer allows: what was sent was allowed
_UNKNOWN = 2048  # entries of 32 bytes, the smallest there are: more than a table of 64 KiB can hold


class Headers:
    """Decodes the blocks of one direction, in their order."""

    def __init__(self, whole: bool) -> None:
        """`whole`: the first block to come is the first that was sent."""
        self._decoder: Decoder | None = Decoder(max_header_list_size=_TABLE_BYTES)
        self._decoder.max_allowed_table_size = _TABLE_BYTES
        if not whole:
            # Entries count from the newest: those still to come are found, and the others are told as unknown.
            self._decoder.header_table_size = _TABLE_BYTES
            for _ in range(_UNKNOWN):
                self._decoder.header_table.add(b"", b"")

    @property
    def spoilt(self) -> bool:
        """Whether a block could not be decoded, so that no later one can be trusted."""
        return self._decoder is None

    def fields(self, block: bytes) -> dict[bytes, bytes]:
        """The fields of a block by name; one named "" stands for those that are unknown."""
        if self._decoder is None:
            return {b"": b""}
        try:
            return {bytes(name): bytes(value) for name, value in self._decoder.decode(block, raw=True)}
        except HPACKError:
            self._decoder = None
            return {b"": b""}
