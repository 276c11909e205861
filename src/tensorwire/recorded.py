"""The schemes that send again what a real job sent: message by message, or training step by training step."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Literal

from msgspec import Struct
from msgspec.structs import astuple

from tensorwire.errors import SpecError
from tensorwire.payload import MAX_BUFFER, MAX_BUFFERS, Payload
from tensorwire.units import Bytes, format_duration, format_size

ALONE = -1
"""In place of an answer: a message that asks for no recorded reply."""

Sizes = tuple[Bytes, ...]


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="profile"):
    """The payloads of the profile of a real job, sent in turn again and again.

    `sizes` holds every different payload once; `messages` the index of each message's payload, in order, where the
    order is exact, and `counts` how often each payload came where it is proportional. A proportional replay draws
    `draws` payloads at even steps through the recorded distribution, by size, from a start that the seed draws, and
    sends them in an order that it draws as well.
    """

    name: str
    sizes: tuple[Sizes, ...]
    order: Literal["proportional", "exact"] = "proportional"
    counts: tuple[int, ...] = ()
    messages: tuple[int, ...] = ()
    answers: tuple[Sizes, ...] = ()
    """Every different reply once; one may be empty."""
    replies: tuple[int, ...] = ()
    """For each message in its exact order the index of its answer, or ALONE; none where no message got an answer."""
    times: tuple[int, ...] = ()
    """For each message in its exact order when it was sent, in ns since the first; none where that is not known."""
    seed: int = 1
    draws: int = 1000
    part: str = ""
    """Which messages of the profile these are, when they are not all, in words."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise SpecError("seed", self.seed, "0 or more, and below 2^63")
        if self.order == "exact":
            self._check_messages()
        else:
            self._check_counts()
        for sizes in self.sizes:
            Payload(sizes=sizes)
        check_answers(self.answers)

    def payloads(self) -> tuple[Payload, ...]:
        known = [Payload(sizes=sizes) for sizes in self.sizes]
        return tuple(known[i] for i in (self.messages if self.order == "exact" else self._drawn()))

    def exchanges(self) -> tuple[tuple[int, int], ...]:
        """The messages in their exact order, each as the indices of its payload and its answer."""
        return tuple(zip(self.messages, self.replies or (ALONE,) * len(self.messages), strict=True))

    def replied(self) -> tuple[Sizes | None, ...]:
        """What each payload gets back, or None where its reply was not recorded; nothing where none was."""
        return tuple(self.answers[i] if i != ALONE else None for i in self.replies)

    def due(self, pace: float) -> list[int]:
        """When each message is due, in ns since the first, at `pace` times the recorded speed."""
        return [round(time / pace) for time in self.times]

    def gaps(self, pace: float) -> list[int]:
        """From when each message is due to the next one; after the last comes the mean of the others."""
        due = self.due(pace)
        between = [after - before for before, after in pairwise(due)]
        return [*between, max(1, due[-1] // len(between))]

    def describe(self) -> str:
        payloads = self.payloads()
        totals = [payload.total for payload in payloads]
        how = "in their order" if self.order == "exact" else f"of {sum(self.counts)} in proportion, seed {self.seed}"
        part = f" ({self.part})" if self.part else ""
        replies = [sum(sizes) for sizes in self.replied() if sizes is not None]
        back = f"; {len(replies)} of them get their recorded replies, {_range(replies)}" if replies else ""
        return f"profile {self.name}{part}: {len(payloads)} messages {how}, {_range(totals)}{back}"

    def _drawn(self) -> list[int]:
        generator = random.Random(self.seed)
        by_size = sorted(range(len(self.sizes)), key=lambda i: (sum(self.sizes[i]), self.sizes[i]))
        total, start = sum(self.counts), generator.random()
        ends = list(accumulate(self.counts[i] for i in by_size))
        offset = int(start * total)
        drawn = [by_size[bisect_right(ends, (i * total + offset) // self.draws)] for i in range(self.draws)]
        keys = [generator.random() for _ in drawn]
        return [drawn[i] for i in sorted(range(self.draws), key=keys.__getitem__)]

    def _check_messages(self) -> None:
        if not self.messages or not all(0 <= i < len(self.sizes) for i in self.messages):
            raise SpecError("messages", len(self.messages), f"at least one, each one of {len(self.sizes)} payloads")
        if (buffers := sum(len(self.sizes[i]) for i in self.messages)) > MAX_BUFFERS:
            raise SpecError("messages", buffers, f"messages of at most {MAX_BUFFERS} buffers in all")
        if self.replies and len(self.replies) != len(self.messages):
            raise SpecError("replies", len(self.replies), f"one for each of {len(self.messages)} messages, or none")
        if not all(ALONE <= i < len(self.answers) for i in self.replies):
            raise SpecError("replies", len(self.replies), f"indices of {len(self.answers)} answers, or {ALONE}")
        if self.times and not (
            len(self.times) == len(self.messages) and self.times[0] == 0 < self.times[-1] and _rises(self.times)
        ):
            raise SpecError("times", len(self.times), "one for each message, rising from 0, or none")

    def _check_counts(self) -> None:
        if not self.counts or len(self.counts) != len(self.sizes) or min(self.counts) < 1:
            raise SpecError("counts", len(self.counts), f"a count of at least 1 for each of {len(self.sizes)} payloads")
        most = MAX_BUFFERS // max(1, *map(len, self.sizes))
        if not 1 <= self.draws <= most:
            raise SpecError("draws", self.draws, f"1 to {most}, for at most {MAX_BUFFERS} buffers in all")


class Call(Struct, frozen=True, array_like=True):
    """One exchange of a step: the server by number, request and answer by index, when it is due since the begin."""

    server: int
    request: int
    answer: int
    due_ns: int


class Turn(Struct, frozen=True, array_like=True):
    """What one worker does in one step: it pulls, and when all is there it pushes. `begin_ns` is when the step began
    for this worker, since the first one began for any."""

    begin_ns: int
    pulls: tuple[Call, ...]
    pushes: tuple[Call, ...]

    @property
    def calls(self) -> tuple[Call, ...]:
        return self.pulls + self.pushes


class Step(Struct, frozen=True, kw_only=True):
    """One recorded step: how long it took, the bytes of all its messages, and what each worker did in it."""

    time_ns: int
    bytes: int
    workers: tuple[Turn, ...]


class Steps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="scheme", tag="steps"):
    """The training steps of the profile of a job with parameter servers, in turn again and again.

    `sizes` and `answers` hold every different request and reply once. More workers than were recorded take those that
    were in turn.
    """

    name: str
    sizes: tuple[Sizes, ...]
    answers: tuple[Sizes, ...]
    ps: int
    workers: int
    steps: tuple[Step, ...]
    period_ns: int
    """From the begin of the first step to the end of the last."""
    part: str = ""
    """Which steps of the profile these are, when they are not all, in words."""

    def __post_init__(self) -> None:
        for sizes in self.sizes:
            Payload(sizes=sizes)
        check_answers(self.answers)
        if not self.steps or self.ps < 1 or self.workers < 1:
            raise SpecError("steps", len(self.steps), "one step, one server and one worker at least")
        if self.period_ns < 0:
            raise SpecError("period", self.period_ns, "0 ns or more")
        for step in self.steps:
            self._check(step)
        if not all(any(step.workers[worker].calls for step in self.steps) for worker in range(self.workers)):
            raise SpecError("steps", 0, "a call at least of each worker")

    def turns(self) -> tuple[Turn, ...]:
        """What each worker does in each step, where it does anything: step by step."""
        return tuple(turn for step in self.steps for turn in step.workers if turn.calls)

    def payloads(self) -> tuple[Payload, ...]:
        """What each worker sends in each step, as one."""
        return tuple(Payload(sizes=_joined(self.sizes[call.request] for call in turn.calls)) for turn in self.turns())

    def replied(self) -> tuple[Sizes | None, ...]:
        """What each worker gets back in each step, as one."""
        return tuple(_joined(self.answers[call.answer] for call in turn.calls) for turn in self.turns())

    @property
    def step_ns(self) -> float:
        """The median recorded time of a step."""
        return float(median(step.time_ns for step in self.steps))

    @property
    def step_bytes(self) -> float:
        """The median of the recorded bytes of all messages in a step."""
        return float(median(step.bytes for step in self.steps))

    def describe(self) -> str:
        turns = self.turns()
        sent = sum(payload.total for payload in self.payloads())
        back = sum(sum(sizes) for sizes in self.replied() if sizes is not None)
        pulls, pushes = sum(len(turn.pulls) for turn in turns), sum(len(turn.pushes) for turn in turns)
        part = f" ({self.part})" if self.part else ""
        steps = f"{_count(len(self.steps), 'step')} of {_count(self.workers, 'worker')} and {self.ps} ps in turn"
        each = f"{pulls / len(turns):.4g} pulls and {pushes / len(turns):.4g} pushes"
        moved = f"{format_size(sent // len(turns))} to the servers, {format_size(back // len(turns))} back"
        return (
            f"profile {self.name}{part}: {steps}; a worker's step has {each}, {moved}; "
            f"recorded steps took {format_duration(self.step_ns)}"
        )

    def _check(self, step: Step) -> None:
        if step.time_ns < 1 or step.bytes < 0 or len(step.workers) != self.workers:
            raise SpecError("steps", step.time_ns, f"steps that take time, of {self.workers} workers")
        for turn in step.workers:
            if turn.begin_ns < 0:
                raise SpecError("steps", turn.begin_ns, "steps that begin at 0 ns or later")
            for call in turn.calls:
                known = 0 <= call.request < len(self.sizes) and 0 <= call.answer < len(self.answers)
                if not (known and 0 <= call.server < self.ps and call.due_ns >= 0):
                    raise SpecError("steps", astuple(call), "calls of what there is, due in their step")


def check_answers(answers: tuple[Sizes, ...]) -> None:
    """Raises SpecError for a reply that nobody can send."""
    if (buffers := sum(map(len, answers))) > MAX_BUFFERS:
        raise SpecError("answers", buffers, f"replies of at most {MAX_BUFFERS} buffers in all")
    for size in (size for sizes in answers for size in sizes):
        if not 1 <= size <= MAX_BUFFER:
            raise SpecError("answer", size, f"buffers of 1 B to {format_size(MAX_BUFFER)}")


def _joined(vectors: Iterable[Sizes]) -> Sizes:
    return tuple(size for sizes in vectors for size in sizes)


def _rises(values: Iterable[int]) -> bool:
    return all(before <= after for before, after in pairwise(values))


def _range(totals: Sequence[int]) -> str:
    mean = format_size(Bytes(round(sum(totals) / len(totals))))
    return f"{format_size(Bytes(min(totals)))} to {format_size(Bytes(max(totals)))}, mean {mean}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
