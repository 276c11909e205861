"""The report for programs: JSON with the values of every repetition, CSV with a line for each point."""

import csv
import io
import re

import msgspec

from tensorwire.metrics import CATALOGUE, Estimate, Metric
from tensorwire.report import FailedRun, Row, collective_how, rows, transport
from tensorwire.result import Result

_RUN = ("created", "benchmark", "channel", "transport", "mode", "payload")
_ROW = ("point", "total_bytes", "buffers", "measured", "repetitions")
_UNIT_WORDS = {"": "", "RPC/s": "per_s", "steps/s": "per_s", "MB/s": "MB_per_s", "GB/s": "GB_per_s", "%": "percent"}


def as_json(*results: Result) -> str:
    """Every metric of every point: its unit, median, interval and values; and every failure. Several make a list."""
    reports = [_report(result) for result in results]
    return msgspec.json.format(msgspec.json.encode(reports[0] if len(reports) == 1 else reports), indent=2).decode()


def _report(result: Result) -> dict[str, object]:
    return {
        "format": "tensorwire.report",
        "tensorwire": result.tensorwire,
        "created": result.created,
        "status": result.status,
        "benchmark": result.spec.benchmark,
        "channel": result.spec.channel,
        "transport": transport(result),
        "mode": result.spec.mode,
        "reply": result.traffic.reply,
        "outstanding": result.traffic.outstanding,
        "collective": _collective(result),
        "payload": result.payload,
        "spec": result.spec,
        "fidelity": result.fidelity,
        "rows": [_row(row) for row in rows(result)],
    }


def as_csv(*results: Result) -> str:
    """A line for each point, the median of every metric in the catalogue; empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_RUN, *_ROW, *map(csv_name, CATALOGUE.values()), "failures"])
    for result in results:
        spec = result.spec
        run = [result.created, spec.benchmark, spec.channel, transport(result), spec.mode, result.payload]
        for row in rows(result):
            about = [row.index, row.mean_total, row.buffers, row.measured, row.repetitions]
            medians = [_median(row, name) for name in CATALOGUE]
            writer.writerow([*run, *about, *medians, "; ".join(row.reasons)])
    return text.getvalue()


def csv_name(metric: Metric) -> str:
    """Name and unit in one word, such as rtt_p50_us."""
    unit = _UNIT_WORDS.get(metric.unit, re.sub(r"\W+", "_", metric.unit))
    return f"{metric.name}_{unit}" if unit else metric.name


def _collective(result: Result) -> dict[str, object] | None:
    """The operation, and whether the stack has it itself."""
    operation = result.traffic.collective
    return {"operation": operation, "how": collective_how(result)} if operation else None


def _row(row: Row) -> dict[str, object]:
    return {
        "point": row.index,
        "total_bytes": row.point.totals,
        "payloads": row.point.payloads,
        "answers": row.point.answers,
        "count": row.collective.count if row.collective else None,
        "measured": row.measured,
        "repetitions": row.repetitions,
        "metrics": {name: _estimate(value) for name, value in row.estimates.items()},
        "failures": [_failure(run) for run in row.failures],
    }


def _estimate(value: Estimate) -> dict[str, object]:
    interval = value.interval
    return {
        "unit": value.metric.unit,
        "better": value.metric.better,
        "median": interval.median,
        "low": interval.low,
        "high": interval.high,
        "coverage": interval.confidence,
        "values": value.values,
    }


def _failure(run: FailedRun) -> dict[str, object]:
    return {"repetition": run.repetition, **msgspec.structs.asdict(run.failure)}


def _median(row: Row, name: str) -> float | None:
    return row.estimates[name].interval.median if name in row.estimates else None
