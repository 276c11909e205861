"""From the profile of a job with parameter servers to the training steps that its workers went through."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from tensorwire.errors import SpecError
from tensorwire.profile import Profile
from tensorwire.recorded import Call, Step, Steps, Turn
from tensorwire.replay import Replayed, Vector, full, leading, numbered, told

MOST_MESSAGES = 100_000
"""Of a replay of steps: every call stands in the plan and in the result."""

_OTHER = "exchanges between other roles than workers and ps are left out"
_EMPTY = "exchanges without content to send are left out"
_ALONE = "messages without a reply, or no reply to anything, are left out"

_Exchange = tuple[int, int]
"""The places of a request and its reply."""


def step(profile: Profile) -> Replayed:
    """The steady steps: what each worker exchanged with each server, with the size and direction of every message.

    What a worker asked of a server is a pull. What a server asked of a worker is a push: the reply, which brought the
    gradient, becomes the worker's request, and what the server asked with becomes the reply. Raises SpecError for a
    profile without steps, or without such exchanges.
    """
    if not profile.steps:
        raise _refused(profile, "has no steps")
    chosen, part = leading(profile, MOST_MESSAGES, "step")
    steady = set(chosen)
    exchanges = [each for each in profile.exchanges if each[0] in steady]
    found = _Found(profile, exchanges)
    if not found.calls:
        raise _refused(profile, "has no exchanges between roles such as 'worker 0' and 'ps 0'")
    partners = {place for exchange in profile.exchanges for place in exchange}
    left_out = found.left_out + Counter({_ALONE: sum(place not in partners for place in chosen)})
    return Replayed(scheme=found.scheme(part), notes=told(left_out))


class _Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange of a worker with a server, as it is replayed: `due_at` is when its bulk was sent."""

    server: int
    push: bool
    request: Vector
    answer: Vector
    asked_at: int
    due_at: int
    over_at: int


class _Found:
    """The exchanges of workers with servers, by worker and step, and how many others there are."""

    def __init__(self, profile: Profile, exchanges: Sequence[_Exchange]) -> None:
        self._profile = profile
        self._full = full(profile)
        self.left_out: Counter[str] = Counter()
        self.calls: dict[int, dict[int, list[_Exchanged]]] = {}
        for exchange in exchanges:
            self._take(exchange)

    def scheme(self, part: str) -> Steps:
        every = [call for steps in self.calls.values() for calls in steps.values() for call in calls]
        workers, servers = (
            _ranked(self._profile, set(self.calls)),
            _ranked(self._profile, {each.server for each in every}),
        )
        requests, answers = numbered(each.request for each in every), numbered(each.answer for each in every)
        numbers = sorted({number for steps in self.calls.values() for number in steps})
        begins = {role: self._begins(self.calls[role]) for role in workers}
        first = min(self._profile.steps[numbers[0]][0], *(min(each.values()) for each in begins.values()))

        def turn(role: int, number: int) -> Turn:
            found = self.calls[role].get(number, [])
            begin = begins[role].get(number, first)
            calls = [
                (each.push, servers[each.server], requests[each.request], answers[each.answer], each.due_at - begin)
                for each in found
            ]
            pulls, pushes = (tuple(Call(*call) for push, *call in calls if push is wanted) for wanted in (False, True))
            return Turn(begin - first, pulls, pushes)

        volume = self._volume()
        steps = tuple(
            Step(
                time_ns=max(self._profile.steps[number][1] - self._profile.steps[number][0], 1),
                bytes=volume[number],
                workers=tuple(turn(role, number) for role in workers),
            )
            for number in numbers
        )
        return Steps(
            name=self._profile.name,
            sizes=tuple(requests),
            answers=tuple(answers),
            ps=len(servers),
            workers=len(workers),
            steps=steps,
            period_ns=max(self._profile.steps[numbers[-1]][1], *(each.over_at for each in every)) - first,
            part=part,
        )

    def _begins(self, steps: Mapping[int, Sequence[_Exchanged]]) -> dict[int, int]:
        """When each step of a worker began. The profile's steps have the times of one process: where a worker was still
        at its last step then, its step began when that was over; where it was ahead, with its first call."""
        begins, over = {}, 0
        for number in sorted(steps):
            asked = min(each.asked_at for each in steps[number])
            begins[number] = min(asked, max(self._profile.steps[number][0], over))
            over = max(each.over_at for each in steps[number])
        return begins

    def _take(self, exchange: _Exchange) -> None:
        asked, replied = (self._profile.messages[place] for place in exchange)
        stream = self._profile.streams[asked[1]]
        kinds = _kind(self._profile, stream.sender), _kind(self._profile, stream.receiver)
        if kinds == ("worker", "ps"):
            worker, server, request, answer = stream.sender, stream.receiver, asked, replied
        elif kinds == ("ps", "worker"):
            worker, server, request, answer = stream.receiver, stream.sender, replied, asked
        else:
            self.left_out[_OTHER] += 1
            return
        sent, back = self._full[request[2]], self._full[answer[2]]
        if not sent:
            self.left_out[_EMPTY] += 1
            return
        bulk = max((replied, asked), key=lambda message: sum(self._full[message[2]]))
        found = _Exchanged(
            server=server,
            push=kinds[0] == "ps",
            request=sent,
            answer=back,
            asked_at=asked[0],
            due_at=bulk[0],
            over_at=max(asked[0], replied[0]),
        )
        self.calls.setdefault(worker, {}).setdefault(asked[3], []).append(found)

    def _volume(self) -> Mapping[int, int]:
        """The bytes of all messages of each step, whoever sent them."""
        totals = [sum(sizes) for sizes in self._profile.payloads]
        volume: Counter[int] = Counter()
        for message in self._profile.messages:
            volume[message[3]] += totals[message[2]]
        return volume


def _kind(profile: Profile, role: int) -> str:
    """worker of "worker 3"; nothing for a role that was not seen."""
    return profile.roles[role].partition(" ")[0] if role >= 0 else ""


def _ranked(profile: Profile, roles: set[int]) -> dict[int, int]:
    """Roles in the order of their own numbers, each with its place."""
    in_order = sorted(roles, key=lambda role: [int(number) for number in re.findall(r"\d+", profile.roles[role])])
    return {role: place for place, role in enumerate(in_order)}


def _refused(profile: Profile, lacks: str) -> SpecError:
    sentence = f"profile {profile.name} {lacks}: its steps cannot be replayed; use --order exact, or proportional"
    return SpecError("order", "step", "exact", sentence)
