"""Where a run stands, on stderr: a bar on a terminal, nothing elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from tensorwire.session import Progress
from tensorwire.spec import Spec
from tensorwire.units import format_duration, format_size

_STAGES = {
    "answer": "making the replies",
    "prepare": "preparing",
    "check": "checking the bytes",
    "warm-up": "warming up",
    "ready": "starting",
}


@contextlib.contextmanager
def progress(spec: Spec) -> Iterator[Callable[[Progress], None]]:
    """A function that is told where the run stands, and shows it while the block lasts."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    points = spec.points()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        steps = len(points) * spec.repeat.count
        task = bar.add_task("starting the ranks", total=steps)

        def told(at: Progress) -> None:
            size = format_size(max(payload.total for payload in points[at.point]))
            doing = _STAGES.get(at.stage, f"measuring for {format_duration(spec.duration_ns)}")
            again = f", repetition {at.repetition + 1} of {spec.repeat.count}" if spec.repeat.count > 1 else ""
            done = at.repetition * len(points) + at.point
            bar.update(task, completed=done, description=f"{spec.benchmark} {size}{again}: {doing}")
            bar.refresh()  # here alone: nothing of ours runs while the ranks measure

        yield told
        bar.update(task, completed=steps)
