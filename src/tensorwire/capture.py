"""Runs a job watched. The job keeps its terminal, its signals and its exit status."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from tensorwire import scratch
from tensorwire.cost import Cost
from tensorwire.errors import InstrumentError, LaunchError
from tensorwire.instruments import Instrument
from tensorwire.instruments.taps import Taps
from tensorwire.instruments.trial import Times, Trial
from tensorwire.instruments.unseen import unseen
from tensorwire.profile import Profile
from tensorwire.steps import Wanted

_FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
_FROM_TERMINAL = 0x80  # SI_KERNEL: the job, of the same process group, has had it as well


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended, as `subprocess` tells it, and what it sent; `lacking` says why there is no profile."""

    status: int
    profile: Profile | None
    lacking: str = ""


def capture(
    command: Sequence[str],
    name: str,
    instrument: Instrument,
    environment: Mapping[str, str],
    wanted: Wanted | None = None,
) -> Captured:
    """Runs a command to its end; steps are found as they are `wanted`.

    Raises InstrumentError or LaunchError when it cannot be begun.
    """
    with scratch.directory() as directory:
        status = _run(command, instrument.attach(environment, directory))
        try:
            profile = instrument.collect(directory, wanted)
        except InstrumentError as nothing:
            why = unseen(command[0], environment.get("PATH"))
            return Captured(status=status, profile=None, lacking=f"{nothing}{why and f'; {why}'}")
    told = msgspec.structs.replace(profile.captured, program=Path(command[0]).name, command=tuple(command))
    return Captured(status=status, profile=msgspec.structs.replace(profile, name=name, captured=told))


def cost(
    command: Sequence[str], instrument: Instrument, environment: Mapping[str, str], times: Times, least: int
) -> tuple[int, Cost]:
    """Runs a command to its end, watched and unwatched by turns; its status, and what was measured.

    Raises LaunchError when it cannot be begun, InstrumentError where it cannot be watched.
    """
    with scratch.directory() as directory, Taps(directory) as taps:
        trial = Trial(taps, times, time.monotonic_ns)
        status = _run(command, instrument.attach(environment, directory), trial)
        return status, trial.cost(least)


def _run(command: Sequence[str], environment: Mapping[str, str], pulse: Callable[[], float] | None = None) -> int:
    """Runs a command, passing on the signals that arrive; returns its status.

    `pulse` is called meanwhile, and tells after how many seconds at the latest it is to be called again.
    """
    awaited = _FORWARDED | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    try:
        job = subprocess.Popen(
            command, env=dict(environment), preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before)
        )
        while job.poll() is None:
            arrived = signal.sigtimedwait(awaited, pulse()) if pulse else signal.sigwaitinfo(awaited)
            if arrived and arrived.si_signo != signal.SIGCHLD and arrived.si_code != _FROM_TERMINAL:
                job.send_signal(arrived.si_signo)
        return job.returncode
    except OSError as wrong:
        raise LaunchError(f"cannot start {command[0]}: {wrong.strerror}") from wrong
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
