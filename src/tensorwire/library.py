"""The profiles that come with tensorwire, by name."""

from pathlib import Path

from tensorwire.errors import SpecError

SHIPPED = Path(__file__).parent / "profiles"
_ENDING = ".profile.json"


def names() -> list[str]:
    """Of all profiles that are here, in order."""
    return sorted(path.name.removesuffix(_ENDING) for path in SHIPPED.glob(f"*{_ENDING}"))


def file_of(name: str) -> Path:
    """The file of the profile of this name. Raises SpecError, with the names that come near, when there is none."""
    if name not in names():
        raise SpecError.unknown("profile", name, names())
    return SHIPPED / f"{name}{_ENDING}"


def resolve(word: str) -> Path:
    """The file that a user means: one that is there or has a file's name, or else a profile of the library.

    Raises SpecError when it is neither.
    """
    path = Path(word)
    by_name = path.name == word and not word.endswith(".json") and not path.exists()
    return file_of(word) if by_name else path
