"""A profile in one sentence: what a step moves, and whither."""

from collections.abc import Mapping, Sequence

from tensorwire.profile import LARGE_FROM, OUTSIDE, Message, Profile
from tensorwire.report.tally import CATEGORIES, Tally, binary, by, whole
from tensorwire.units import format_total

_LARGE = CATEGORIES.index("large")
_NOUNS = {"ps": ("the server", "the servers"), "process": ("the process", "the processes")}
_ELSEWHERE = "others that were not watched"
_SAME = 0.01  # steps whose bytes differ by no more are said to move the same


def summary(profile: Profile) -> str:
    """Computed from the steady messages; where steps differ, their range, and whither the middle one moves what."""
    if not profile.steady:
        return "No message was sent."
    steps = _steps(profile)
    if not steps:
        everything = whole(profile)
        return f"The whole job, without steps, moves {_moved([everything])}: {_whither(profile, None)}."
    each = f"Each of {len(steps)} steps" if len(steps) > 1 else "The one step"
    middle = "in the middle one, " if _differ([tally.total for tally in steps.values()]) else ""
    return f"{each} moves {_moved(list(steps.values()))}: {middle}{_whither(profile, _middle(steps))}."


def step_bytes(profile: Profile) -> int | None:
    """Of the middle steady step, by bytes; None without steps."""
    steps = _steps(profile)
    return steps[_middle(steps)].total if steps else None


def _steps(profile: Profile) -> dict[int, Tally]:
    return {step: tally for step, tally in by(profile, lambda message: message[3]).items() if step != OUTSIDE}


def _middle(steps: Mapping[int, Tally]) -> int:
    """The step with as many above it, by bytes, as below it."""
    return sorted(steps, key=lambda step: steps[step].total)[(len(steps) - 1) // 2]


def _differ(totals: Sequence[int]) -> bool:
    return max(totals) - min(totals) > _SAME * max(totals)


def _moved(steps: Sequence[Tally]) -> str:
    totals = sorted(step.total for step in steps)
    large = sorted(step.buffers[_LARGE] for step in steps)
    sizes = format_total(totals[(len(totals) - 1) // 2])
    if _differ(totals):
        sizes = f"{format_total(totals[0])} to {format_total(totals[-1])}"
    count = f"{large[0]}" if large[0] == large[-1] else f"{large[0]} to {large[-1]}"
    noun = "buffer" if large[-1] == 1 else "buffers"
    return f"{sizes}, in it {count if large[-1] else 'no'} {noun} of {binary(LARGE_FROM)} and more"


def _whither(profile: Profile, step: int | None) -> str:
    """The bytes of a step, or of everything, that go to each kind of role, the most first."""

    def to(message: Message) -> tuple[str, bool]:
        receiver = profile.streams[message[1]].receiver
        name = _ELSEWHERE if receiver == OUTSIDE else _kind(profile.roles[receiver], profile.roles)
        return name, step is None or message[3] == step

    found = {name: tally.total for (name, inside), tally in by(profile, to).items() if inside and tally.total}
    parts = [f"{format_total(size)} to {name}" for name, size in sorted(found.items(), key=lambda each: -each[1])]
    return ", ".join(parts) or "nothing but empty messages"


def _kind(role: str, roles: Sequence[str]) -> str:
    """Of `worker 3` the workers, or the worker if it is the only one; of a role without a number its name."""
    name, _, number = role.partition(" ")
    if not number[:1].isdigit():
        return role
    one, many = _NOUNS.get(name, (f"the {name}", f"the {name}s"))
    return many if sum(other.partition(" ")[0] == name for other in roles) > 1 else one
