"""tensorwire run: one spec, from flags or a file, to a table and a result file."""

from pathlib import Path
from typing import Any

import click

from tensorwire import session, spec
from tensorwire.cli import flags, output
from tensorwire.cli.progress import progress
from tensorwire.errors import SpecError


@click.command("run", short_help="Run a benchmark and write its result file.")
@click.argument("benchmark", required=False)
@click.option("--spec", "spec_file", type=click.Path(path_type=Path), metavar="FILE", help="A request in TOML; flags come on top of it.")
@flags.all_flags
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the channel, such as call=stream (tensorwire list channels).")
@click.option("--output", "file", type=click.Path(path_type=Path), metavar="FILE", help="The result file.  [default: results/TIME-BENCHMARK-CHANNEL.json]")
@click.option("-b", "--begin", metavar="SIZE", help="A sweep from this size ...")
@click.option("-e", "--end", metavar="SIZE", help="... to this one ...")
@click.option("-f", "--factor", type=int, metavar="N", help="... by this factor.  [default: 2]")
@output.how_to_show
def command(
    benchmark: str | None, spec_file: Path | None, file: Path | None, show: output.How, **values: Any
) -> int:
    """Run BENCHMARK (tensorwire list benchmarks), print its numbers and write its result file.

    Sizes read 10, 10KB (1e3) or 10KiB (2^10), times 500ms or 10s. Without flags a run is that of TF-gRPC-Bench:
    one parameter server at localhost:50001, one worker, ten buffers of three sizes, 2 s of warm-up, then 10 s.
    """
    request = flags.words(values, _from_file(spec_file))
    if benchmark is not None:
        request["benchmark"] = benchmark
    request.setdefault("options", {}).update(_options(values["options"]))
    request |= _sweep(values["begin"], values["end"], values["factor"])
    wanted = spec.parse(request)
    run = session.Session(wanted, file or session.default_file(wanted))
    try:
        with progress(wanted) as told:
            run.run(told)
    finally:
        show.print(run.result)
        if run.file.exists():
            click.echo(f"result file: {run.file}", err=True)
    return 1 if session.failures(run.result) else 0


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return spec.parse_toml(path.read_text())
    except (OSError, UnicodeDecodeError) as wrong:
        raise SpecError("spec", str(path), "a readable TOML file", f"cannot read the spec {path}: {wrong}") from wrong


def _options(pairs: tuple[str, ...]) -> dict[str, str]:
    """Raises SpecError for what is not KEY=VALUE."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise SpecError("option", pair, "KEY=VALUE, such as call=stream")
        found[key.strip()] = value
    return found


def _sweep(begin: str | None, end: str | None, factor: int | None) -> dict[str, list[int]]:
    if begin is None and end is None and factor is None:
        return {}
    if begin is None or end is None:
        raise SpecError("sweep", (begin, end), "both", "a sweep needs both --begin and --end")
    return {"sizes": list(spec.sweep(begin, end, 2 if factor is None else factor))}
