"""Which programs no library in LD_PRELOAD gets into."""

import shutil
import stat
import struct
from pathlib import Path

_ELF = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<I")
_INTERPRETER = 3
_64_BIT = b"\x7fELF\x02\x01"


def unseen(program: str, search: str | None = None) -> str:
    """Why a program, that is found by the PATH `search`, cannot be watched; "" when it can, or nobody can tell."""
    found = shutil.which(program, path=search)
    if found is None:
        return ""
    path = Path(found)
    try:
        if path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID):
            return f"{program} runs with the rights of its owner, and the system lets nobody watch such a program"
        if _is_static(path):
            return f"{program} is statically linked, and such a program cannot be watched"
    except (OSError, struct.error):
        pass
    return ""


def _is_static(path: Path) -> bool:
    """Whether it is a program of this machine that asks for no loader."""
    with path.open("rb") as file:
        head = file.read(_ELF.size)
        if not head.startswith(_64_BIT):
            return False
        fields = _ELF.unpack(head)
        at, size, count = fields[5], fields[9], fields[10]
        file.seek(at)
        table = file.read(size * count)
    kinds = {_SEGMENT.unpack_from(table, place * size)[0] for place in range(count)}
    return _INTERPRETER not in kinds
