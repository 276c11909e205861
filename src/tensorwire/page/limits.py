"""What a reader must know before a number: what failed, what is missing, and rates that cannot be those of the wire."""

from collections.abc import Iterator, Sequence

from tensorwire.page import words
from tensorwire.page.answer import STILL
from tensorwire.page.entries import Entry
from tensorwire.report import rows, transport
from tensorwire.report.notes import cut_short, failures
from tensorwire.result import Result

_CARRIED = 0.95  # of the payload: an interface that counts less has not carried it all


def warnings(results: Sequence[Result], entries: Sequence[Entry]) -> list[str]:
    """A sentence for each, once."""
    found = [
        *(line for result in results for line in _wrong(result)),
        *_bypassed(entries),
        *_still(entries),
        *_busy(results),
    ]
    return list(dict.fromkeys(found))


def _wrong(result: Result) -> list[str]:
    """Failures, and what was cut short."""
    own = rows(result)
    about = f"{result.spec.benchmark} over {result.spec.channel}"
    return [f"{about}: {line}" for line in failures(own) + cut_short(result, own)]


def _bypassed(entries: Sequence[Entry]) -> Iterator[str]:
    """Rates above what the interface carried."""
    for each in entries:
        ratio, rate = each.estimates.get("wire_ratio"), each.estimates.get("bandwidth")
        if ratio is not None and rate is not None and ratio.interval.median < _CARRIED:
            about = f"{each.benchmark} over {each.channel} ({transport(each.case.result)}), {each.payload}"
            yield (
                f"{about}: {words.median(rate)} is more than the interface carried, which counted "
                f"{words.digits(ratio.interval.median)} bytes for each byte of payload: the payload went another way, "
                "or was compressed."
            )


def _still(entries: Sequence[Entry]) -> Iterator[str]:
    for channel in dict.fromkeys(each.channel for each in entries if each.channel in STILL):
        rates = "its rates are those of the timing loop, above what any link can carry"
        yield f"The channel {channel} moves nothing: {rates}."


def _busy(results: Sequence[Result]) -> Iterator[str]:
    """Hosts with more to do than they have cores."""
    for host, own in _by_host(results).items():
        cores = words.count(len(own[0].environment.cores), "core")
        most = max((load for each in own if (load := _load(each)) is not None), default=0.0)
        if most > len(own[0].environment.cores):
            yield f"{host} was busy: when a run began, its load average was up to {most:g} on {cores}."
        ranks = max((len(each.traffic.roles) for each in own if _on_one(each)), default=0)
        if ranks > len(own[0].environment.cores):
            yield f"Ranks share cores: up to {ranks} of them run on {cores} of {host}."


def _by_host(results: Sequence[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for each in results:
        found.setdefault(each.environment.host, []).append(each)
    return found


def _load(result: Result) -> float | None:
    first = result.environment.facts.get("load_average", "").split(" ")[0]
    return float(first) if first.replace(".", "", 1).isdigit() else None


def _on_one(result: Result) -> bool:
    """Whether all ranks ran on the host that the environment is of."""
    return {facts.host for run in result.repetitions for facts in run.ranks} == {result.environment.host}
