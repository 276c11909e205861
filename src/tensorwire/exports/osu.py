"""The columns of the OSU micro-benchmarks, as `tensorwire show --format osu` prints them."""

from collections.abc import Sequence

from tensorwire.exports import refuse_choice
from tensorwire.report.osu import osu
from tensorwire.result import Result


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """One block for each result."""
    refuse_choice("osu", names)
    return "".join(map(osu, results)).encode()
