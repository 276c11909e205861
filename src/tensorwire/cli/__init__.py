"""The command line: parses, calls, prints; decides nothing. Law: stdout carries data, stderr everything else."""

import os
import signal
import sys
from typing import ClassVar

import click

from tensorwire.errors import TensorwireError

_INTERRUPTED = "interrupted"
_LACKING = 3  # the exit code of an environment that lacks something


class _Lazy(click.Group):
    """Imports a command's module when the command is used: `tensorwire --help` is quick."""

    commands_of: ClassVar = {
        "run": ("tensorwire.cli.run", "Run a benchmark and write its result file."),
        "show": ("tensorwire.cli.show", "Show result files again."),
        "compare": ("tensorwire.cli.compare", "Say what became faster or slower between results."),
        "report": ("tensorwire.cli.report", "Make a page of results, to read and to attach."),
        "export": ("tensorwire.cli.export", "Hand results to other tools."),
        "capture": ("tensorwire.cli.capture", "Run a job and write the profile of what it sends."),
        "profile": ("tensorwire.cli.profile", "List, show, compare and import what real jobs sent."),
        "workload": ("tensorwire.cli.workload", "Run real training jobs, to capture or measure."),
        "list": ("tensorwire.cli.catalogue", "List benchmarks, channels, launchers, workloads, schemes or metrics."),
        "doctor": ("tensorwire.cli.doctor", "Say what works on this host, and what is missing."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_of)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_of:
            return None
        from importlib import import_module

        command: click.Command = import_module(self.commands_of[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.commands_of.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(None, "-V", "--version", package_name="tensorwire", message="tensorwire %(version)s")
def cli() -> None:
    """Benchmark what distributed deep learning puts on the wire.

    \b
    tensorwire run p2p-latency                          one parameter server, one worker, over gRPC
    tensorwire run p2p-bandwidth --scheme skew          60 % large buffers
    tensorwire run ps-throughput --ps 2 --workers 3     every worker calls every server
    tensorwire run p2p-latency --sizes 32,64KiB,1MiB    a sweep, one row for each size
    """


def main() -> None:
    """Runs the command line; the exit code is 0 done, 1 failed, 2 wrong request, 3 the host lacks something."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as tidily as Ctrl-C
    try:
        sys.exit(cli(standalone_mode=False))
    except TensorwireError as wrong:
        _say(str(wrong))
        sys.exit(wrong.exit_code)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except OSError as wrong:  # such as a full disk below stdout
        _say(f"the system refused: {wrong}")
        _forget_stdout()
        sys.exit(_LACKING)
    except (KeyboardInterrupt, click.exceptions.Abort):
        _say(_INTERRUPTED)
        sys.exit(1)


def _forget_stdout() -> None:
    """What stdout still holds goes nowhere: Python would fail to flush it once more, and say so, when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _say(sentence: str) -> None:
    click.echo(f"tensorwire: {sentence}", err=True)
