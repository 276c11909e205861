"""A line for each point of each result, as `tensorwire show --format csv` prints it."""

from collections.abc import Sequence

from tensorwire.exports import refuse_choice
from tensorwire.report.data import as_csv
from tensorwire.result import Result


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """Medians of all metrics."""
    refuse_choice("csv", names)
    return as_csv(*results).encode()
