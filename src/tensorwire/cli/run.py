"""tensorwire run: one spec, from flags or a file, to a table and a result file."""

from pathlib import Path
from typing import Any

import click

from tensorwire import session, spec
from tensorwire.cli import flags, output
from tensorwire.cli.progress import progress


@click.command("run", cls=flags.Sectioned, short_help="Run a benchmark and write its result file.")
@flags.request
@click.option(
    "--output",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The result file.  [default: results/TIME-BENCHMARK-CHANNEL.json]",
)
@click.option("--no-fidelity", is_flag=True, help="Leave out the extra run that watches what a replay sends.")
@output.how_to_show
def command(file: Path | None, no_fidelity: bool, show: output.How, **values: Any) -> int:
    """Run BENCHMARK (tensorwire list benchmarks), print its numbers and write its result file.

    Sizes read 10, 10KB (1e3) or 10KiB (2^10), times 500ms or 10s. Without flags a run is that of TF-gRPC-Bench:
    one parameter server at localhost:50001, one worker, ten buffers of three sizes, 2 s of warm-up, then 10 s.
    """
    wanted = spec.parse(flags.words(values))
    run = session.Session(wanted, file or session.default_file(wanted))
    show.check(run.result)
    try:
        with progress(wanted) as told:
            run.run(told)
        if not no_fidelity:
            run.measure_fidelity()
    finally:
        try:
            show.print(run.result)
        finally:
            if run.saved:
                click.echo(f"result file: {run.file}", err=True)
    failed = session.failures(run.result)
    if failed:
        words = " ".join(failed[-1].message.split())
        click.echo(f"tensorwire: {len(failed)} failed, the last with {failed[-1].type}: {words}", err=True)
    return 1 if failed else 0
