"""What the processes of a job are called, by what launchers and users told them about their place in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from tensorwire.instruments.tap_log import Head

_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
_LONGEST = 64


class _Task(msgspec.Struct):
    type: str
    index: int = 0


def names(heads: Sequence[Head]) -> tuple[str, ...]:
    """The roles of processes, all different: a further process of the same role, such as a child, is `ps 0 (2)`."""
    taken: Counter[str] = Counter()
    found = []
    for place, head in enumerate(heads):
        name = role(head.told, head.arguments) or f"process {place}"
        taken[name] += 1
        found.append(name if taken[name] == 1 else f"{name} ({taken[name]})")
    return tuple(found)


def role(told: Mapping[str, str], arguments: Sequence[str]) -> str:
    """By TENSORWIRE_ROLE, TF_CONFIG, a job's name and task's index, or a rank, the first that is there; else empty."""
    if named := " ".join(told.get("TENSORWIRE_ROLE", "").split())[:_LONGEST]:
        return named
    by_flags = _flags(arguments)
    for job, task in (
        _of_task(told.get("TF_TASK", "")),
        (told.get("JOB_NAME", ""), told.get("TASK_INDEX", "")),
        (by_flags.get("job_name", ""), by_flags.get("task_index", "")),
    ):
        if job:
            return f"{job} {task or 0}"[:_LONGEST]
    rank = next((told[name] for name in _RANKS if told.get(name, "").isdigit()), "")
    return f"rank {rank}" if rank else ""


def _of_task(text: str) -> tuple[str, str]:
    try:
        task = msgspec.json.decode(text, type=_Task, strict=False)
    except msgspec.DecodeError:
        return "", ""
    return task.type, str(task.index)


def _flags(arguments: Sequence[str]) -> dict[str, str]:
    """Of --name=value and --name value, with one dash or two, and either kind of dash within the name."""
    found = {}
    for word, following in pairwise((*arguments, "")):
        if word.startswith("-"):
            name, given, value = word.lstrip("-").partition("=")
            found[name.replace("-", "_")] = value if given else following
    return found
