"""A case: one point under one set of conditions, with all repetitions that measured it, from however many files."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tensorwire.result import Result
from tensorwire.sample import Sample, samples
from tensorwire.spec import Closed, Load, Recorded, Spec
from tensorwire.units import format_size

# Where what was asked for goes among the conditions. A field that is not named here is a condition of its own.
_PLACES = {"threads": "load", "warmup_ns": "time", "duration_ns": "time", "calls": "time"}
# What moves no number, or stands in the traffic and the point as it turned out.
_LEFT_OUT = {
    *("pattern", "payload", "sizes", "load", "seed"),
    *("host", "port", "timeout_ns", "join_timeout_ns", "repeat", "prove_path"),
}
_EFFECTIVE = {"transport": "transport", "congestion": "tcp_congestion"}  # condition: setting that a rank tells
NEVER_ALIKE = ("benchmark", "payload", "pattern")
"""The conditions without which two cases have nothing to do with each other."""


class Case(Struct, frozen=True, kw_only=True):
    """`conditions` are what must be alike for a comparison, by name; None is what nothing tells.

    `samples` and `failures` have an entry for each repetition: None where it has no measurement or no failure.
    """

    result: Result
    """The first that has the case."""
    point: int
    conditions: dict[str, Any]
    samples: tuple[Sample | None, ...]
    failures: tuple[str | None, ...]

    @property
    def total_bytes(self) -> int:
        """Of one payload; the mean, where several are sent in turn."""
        totals = self.result.points[self.point].totals
        return round(sum(totals) / len(totals))

    @property
    def buffers(self) -> int:
        return max(len(sizes) for sizes in self.result.points[self.point].payloads)

    @property
    def scheme(self) -> str:
        """The first words of what was sent, such as "random, seed 7"."""
        return re.split(r"[:(]", self.result.payload)[0].strip()

    @property
    def failed(self) -> tuple[str, ...]:
        """Each different failure once."""
        return tuple(dict.fromkeys(words for words in self.failures if words is not None))

    def traits(self) -> dict[str, str]:
        """What it is, in words: what every case has, then what is not as it is by default."""
        spec, traffic = self.result.spec, self.result.traffic
        always = {
            "benchmark": spec.benchmark,
            "channel": spec.channel,
            "payload": self.scheme,
            "bytes": str(self.total_bytes),
            "buffers": str(self.buffers),
            "ranks": str(len(traffic.roles)),
            "in_flight": str(traffic.outstanding),
        }
        return always | _unusual(spec, traffic.reply)

    def name(self) -> str:
        """The traits in one line without spaces: p2p-latency/grpc/uniform/bytes:4030030/buffers:10/..."""
        benchmark, channel, payload, *others = self.traits().items()
        plain = [_plain(value) for _, value in (benchmark, channel, payload)]
        return "/".join(plain + [f"{key}:{_plain(value)}" for key, value in others])

    def words(self) -> str:
        """Such as "p2p-latency over grpc, uniform, 4.03 MB"."""
        unusual = _unusual(self.result.spec, self.result.traffic.reply)
        more = "".join(f", {key} {value}" for key, value in unusual.items() if key != "reply")
        spec = self.result.spec
        return f"{spec.benchmark} over {spec.channel}, {self.scheme}, {format_size(self.total_bytes)}{more}"

    def says(self, condition: str) -> str:
        """A condition in words."""
        if condition == "payload":
            return f"{self.result.payload}, {format_size(self.total_bytes)}"
        if condition == "pattern":
            roles = ", ".join(f"{count} x {role}" for role, count in Counter(self.result.traffic.roles).items())
            return f"{roles}, {self.result.traffic.reply}"
        return _words(self.conditions[condition])


def cases(results: Sequence[Result]) -> tuple[Case, ...]:
    """The cases of all results, in the order in which they first come; results under the same conditions are one."""
    found: list[Case] = []
    for result in results:
        common = _conditions(result)
        for index in range(len(result.points)):
            case = _case(result, index, common)
            alike = next((i for i, each in enumerate(found) if not differences(each, case)), None)
            if alike is None:
                found.append(case)
            else:
                found[alike] = _together(found[alike], case)
    return tuple(found)


def condition_names() -> tuple[str, ...]:
    """All conditions that two cases can differ in and still be held against each other."""
    asked = dict.fromkeys(_PLACES.get(name, name) for name in Spec.__struct_fields__ if name not in _LEFT_OUT)
    names = dict.fromkeys(["host", *asked, "load", *_EFFECTIVE, "interface"])
    return tuple(sorted(name for name in names if name not in NEVER_ALIKE))


def differences(one: Case, other: Case) -> tuple[str, ...]:
    """The names of the conditions that are known of both and not alike."""
    known = [name for name in one.conditions if None not in (one.conditions[name], other.conditions.get(name))]
    return tuple(name for name in known if one.conditions[name] != other.conditions[name])


def apart(one: Case, other: Case, condition: str) -> tuple[str, str]:
    """The condition of either in words; of several values only those that differ."""
    a, b = one.conditions[condition], other.conditions[condition]
    if condition not in NEVER_ALIKE and isinstance(a, dict) and isinstance(b, dict):
        names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
        return _words({name: a.get(name) for name in names}), _words({name: b.get(name) for name in names})
    return one.says(condition), other.says(condition)


def _case(result: Result, index: int, common: dict[str, Any]) -> Case:
    failed = [
        [failure for failure in repetition.failures if failure.point == index] for repetition in result.repetitions
    ]
    return Case(
        result=result,
        point=index,
        conditions={**common, "payload": result.points[index].payloads},
        samples=samples(result, index),
        failures=tuple(
            " ".join(f"{failures[0].type}: {failures[0].message}".split()) if failures else None for failures in failed
        ),
    )


def _together(one: Case, other: Case) -> Case:
    known = {name: other.conditions[name] if value is None else value for name, value in one.conditions.items()}
    samples, failures = one.samples + other.samples, one.failures + other.failures
    return msgspec.structs.replace(one, conditions=known, samples=samples, failures=failures)


def _conditions(result: Result) -> dict[str, Any]:
    """Of all points: as asked for, and as it turned out."""
    traffic = msgspec.to_builtins(result.traffic)
    asked = msgspec.to_builtins(result.spec)
    load = {**asked["load"], "outstanding": traffic.pop("outstanding")}
    here = result.environment
    found: dict[str, Any] = {
        "host": {"name": here.host, "cpu": here.cpu, "cores": len(here.cores)},
        "pattern": traffic,
        "load": load,
    }
    for field, value in asked.items():
        if field in _LEFT_OUT:
            continue
        place = _PLACES.get(field)
        if place is None:
            found[field] = value
        else:
            found.setdefault(place, {})[field.removesuffix("_ns")] = value
    for name, setting in _EFFECTIVE.items():
        found[name] = _settings(result, setting)
    found["interface"] = _interfaces(result)
    return found


def _settings(result: Result, name: str) -> list[str] | None:
    facts = [facts for repetition in result.repetitions for facts in repetition.ranks]
    return sorted({each.settings[name] for each in facts if each.settings.get(name)}) or None


def _interfaces(result: Result) -> list[str] | None:
    seen = [each.wire for repetition in result.repetitions for each in repetition.measurements]
    return sorted({wire.interface for wire in seen if wire is not None}) or None


def _unusual(spec: Spec, reply: str) -> dict[str, str]:
    """What is not as it is by default, and changes what a number means."""
    usual = Spec()
    found = {
        "reply": reply if "reply" in spec.pattern else "",
        "mode": spec.mode if spec.mode != usual.mode else "",
        "load": _load(spec.load),
        "threads": str(spec.threads) if spec.threads != usual.threads else "",
        "fill": spec.fill if spec.fill != usual.fill else "",
        "launcher": spec.launcher if spec.launcher != usual.launcher else "",
    }
    for name in spec.placement.__struct_fields__:
        value = getattr(spec.placement, name)
        found[name] = str(value) if value != getattr(usual.placement, name) else ""
    found["hosts"] = "-".join(f"{name}={value}" for name, value in spec.hosts.items())
    found["options"] = "-".join(f"{name}={value}" for name, value in spec.options.items())
    return {name: value for name, value in found.items() if value}


def _load(load: Load) -> str:
    match load:
        case Closed():
            return ""
        case Recorded():
            return f"recorded-{load.pace:g}"
        case _:
            return f"{type(load).__name__.lower()}-{load.rate:g}"


def _plain(value: str) -> str:
    return re.sub(r"[^\w.=-]+", "-", value).strip("-")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_words(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "/".join(_words(each) for each in value) or "none"
    return "none" if value is None else str(value)
