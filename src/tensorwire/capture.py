"""Runs a job watched. The job keeps its terminal, its signals and its exit status."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tensorwire import scratch
from tensorwire.errors import InstrumentError, LaunchError
from tensorwire.instruments import Instrument
from tensorwire.profile import Profile

_FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
_FROM_TERMINAL = 0x80  # SI_KERNEL: the job, of the same process group, has had it as well


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended, as `subprocess` tells it, and what it sent; `lacking` says why there is no profile."""

    status: int
    profile: Profile | None
    lacking: str = ""


def capture(command: Sequence[str], name: str, instrument: Instrument, environment: Mapping[str, str]) -> Captured:
    """Runs a command to its end. Raises InstrumentError or LaunchError when it cannot be begun."""
    with scratch.directory() as directory:
        status = _run(command, instrument.attach(environment, directory))
        try:
            profile = instrument.collect(directory)
        except InstrumentError as nothing:
            return Captured(status=status, profile=None, lacking=str(nothing))
    told = msgspec.structs.replace(profile.captured, program=Path(command[0]).name, command=tuple(command))
    return Captured(status=status, profile=msgspec.structs.replace(profile, name=name, captured=told))


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs a command, passing on the signals that arrive; returns its status."""
    awaited = _FORWARDED | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        job = subprocess.Popen(
            command, env=dict(environment), preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before)
        )
        while job.poll() is None:
            arrived = signal.sigwaitinfo(awaited)
            if arrived.si_signo != signal.SIGCHLD and arrived.si_code != _FROM_TERMINAL:
                job.send_signal(arrived.si_signo)
        return job.returncode
    except OSError as wrong:
        raise LaunchError(f"cannot start {command[0]}: {wrong.strerror}") from wrong
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
