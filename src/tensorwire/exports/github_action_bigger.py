"""github-action-benchmark's own JSON, for its tool customBiggerIsBetter: the metrics of which more is better."""

from collections.abc import Sequence

from tensorwire.exports.github_action import entries
from tensorwire.result import Result


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """An entry for each metric of each case that is better when higher."""
    return entries(results, names, "higher")
