"""Apache Parquet: a row for each value of each metric in each repetition, for pandas, DuckDB and their like."""

import io
from collections.abc import Iterator, Sequence

from tensorwire import metrics
from tensorwire.case import Case, cases
from tensorwire.errors import ExportUnavailable
from tensorwire.metrics import CATALOGUE
from tensorwire.result import Result

_NUMBERS = {"total_bytes": "int64", "buffers": "int64", "ranks": "int64", "in_flight": "int64", "repetition": "int64"}
_TEXTS = (
    "created",
    "tensorwire",
    "host",
    "case",
    "benchmark",
    "channel",
    "mode",
    "payload",
    "metric",
    "unit",
    "better",
)


def export(results: Sequence[Result], names: Sequence[str]) -> bytes:
    """The file; raises ExportUnavailable without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as wrong:
        raise ExportUnavailable("parquet needs pyarrow: pip install 'tensorwire[parquet]'") from wrong
    rows = [row for case in cases(results) for row in _rows(case, names or tuple(CATALOGUE))]
    schema = pyarrow.schema(
        [(name, pyarrow.string()) for name in _TEXTS]
        + [(name, getattr(pyarrow, kind)()) for name, kind in _NUMBERS.items()]
        + [("value", pyarrow.float64())]
    )
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), file)
    return file.getvalue()


def _rows(case: Case, names: Sequence[str]) -> Iterator[dict[str, object]]:
    spec, here = case.result.spec, case.result.environment
    common = {
        "created": case.result.created,
        "tensorwire": case.result.tensorwire,
        "host": here.host,
        "case": case.name(),
        "benchmark": spec.benchmark,
        "channel": spec.channel,
        "mode": spec.mode,
        "payload": case.result.payload,
        "total_bytes": case.total_bytes,
        "buffers": case.buffers,
        "ranks": len(case.result.traffic.roles),
        "in_flight": case.result.traffic.outstanding,
    }
    for repetition, sample in enumerate(case.samples):
        for metric in map(metrics.get, names):
            value = None if sample is None else metric.value(sample)
            if value is not None:
                told = {"metric": metric.name, "unit": metric.unit, "better": metric.better}
                yield {**common, "repetition": repetition, **told, "value": value}
