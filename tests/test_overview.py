"""Several results side by side: nothing that sets them apart is left unsaid."""

import io

import msgspec
from rich.console import Console

from tensorwire.report.overview import overview
from tensorwire.result import Result
from tensorwire.spec import Placement, Poisson, Spec
from tests import results
from tests.results import SECOND


def together(*several: Result) -> list[str]:
    text = io.StringIO()
    overview(several, Console(file=text, width=160))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_results_side_by_side_tell_what_sets_them_apart() -> None:
    run = results.repetition(*results.p2p_run([1000] * 9))
    closed = Spec(duration_ns=SECOND)
    opened = msgspec.structs.replace(closed, load=Poisson(rate=9.0), placement=Placement(wait="spin"))
    lines = together(results.result(run, spec=closed), results.result(run, spec=opened))
    first, second = (line for line in lines if "4.03 MB" in line)
    assert ("closed" in first, "block" in first) == (True, True)
    assert ("9/s Poisson" in second, "spin" in second) == (True, True)
    assert "missed" in " ".join(lines)
    assert any(line.startswith("RTT: ") for line in lines)
    assert any(line.startswith("RTT in an open loop: ") for line in lines)


def test_each_result_side_by_side_that_was_cut_short_says_so() -> None:
    run = results.repetition(*results.p2p_run([1000] * 9))
    lines = together(results.result(run), results.result(run, status="partial"))
    assert "uniform: Partial result: the run was cut short." in lines
