"""A profile for people and programs: how it was captured, its sizes as a picture, and who sent what."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec
from rich.console import Console

from tensorwire.distance import Distance, distance, mean
from tensorwire.profile import OUTSIDE, Counts, Profile, last_word
from tensorwire.report.columns import Column
from tensorwire.report.drawing import show_columns, show_line, show_words
from tensorwire.report.summary import step_bytes, summary
from tensorwire.report.tally import CATEGORIES, Bin, Tally, binary, bins, by, whole
from tensorwire.units import format_duration, format_total

_MOST_ROWS = 12
_MOST_PAYLOADS = 8
_MOST_BUFFERS = 6
_TRANSPORT = "How the transport handed this to the kernel, framing and all; another transport does it otherwise:"
_BAR_WIDTH = 18
_EIGHTHS = "▏▎▍▌▋▊▉█"


def show(profile: Profile, console: Console) -> None:
    """Prints the profile in tables no wider than the console."""
    show_line(f"profile {profile.name}", console, "bold")
    show_line(summary(profile), console, "")
    console.print()
    show_words(_heading(profile), console, dim=0)
    everything = whole(profile)
    if not everything.messages:
        return
    show_columns(*_categories(everything), console)
    _show_histogram(bins(profile), console)
    peers = by(profile, lambda message: _peers(profile, message[1]))
    steps = len(profile.steps) - profile.warmup
    _show_groups(("from", "to"), peers, steps, console)
    methods = by(profile, lambda message: _method(profile, message[1]))
    _show_groups(("method", "kind"), methods, steps, console)
    _show_payloads(profile, console)
    _show_steps(profile, console)
    _show_system_calls(profile, console)


def as_json(profile: Profile) -> str:
    """The same for programs: sizes in bytes, times in nanoseconds."""
    streams = by(profile, lambda message: message[1])
    peers = by(profile, lambda message: _peers(profile, message[1]))
    methods = by(profile, lambda message: _method(profile, message[1]))
    steps = by(profile, lambda message: message[3])
    report = {
        "format": "tensorwire.profile-report",
        "name": profile.name,
        "captured": profile.captured,
        "roles": profile.roles,
        "summary": summary(profile),
        "warmup_steps": profile.warmup,
        "step_bytes": step_bytes(profile),
        "left_out": len(profile.messages) - len(profile.steady),
        "total": _numbers(whole(profile)),
        "histogram": bins(profile),
        "peers": [{"from": one, "to": other, **_numbers(each)} for (one, other), each in peers.items()],
        "streams": [
            {**msgspec.structs.asdict(profile.streams[number]), **_numbers(each)} for number, each in streams.items()
        ],
        "methods": [{"kind": kind, "method": name, **_numbers(each)} for (name, kind), each in methods.items()],
        "payloads": [
            {"sizes": sizes, "messages": times, "method": name} for (name, sizes), times in _payloads(profile)
        ],
        "steps": [
            {"step": step, "begin_ns": profile.steps[step][0], "end_ns": profile.steps[step][1], **_numbers(each)}
            for step, each in sorted(steps.items())
            if step != OUTSIDE
        ],
        "system_calls": profile.system_calls,
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def distances(first: Profile, second: Profile) -> dict[str, Distance]:
    """Between the sizes of the messages and of the buffers. Raises ValueError when a profile has none."""
    return {
        "messages": distance(first.message_sizes(), second.message_sizes()),
        "buffers": distance(first.buffer_sizes(), second.buffer_sizes()),
    }


def show_diff(first: Profile, second: Profile, console: Console) -> None:
    """Prints how far the sizes of two profiles are apart, in numbers and in words."""
    found = distances(first, second)
    show_line(f"profiles {first.name} and {second.name}", console, "bold")
    sizes = {"messages": Profile.message_sizes, "buffers": Profile.buffer_sizes}
    counted = [(sizes[what](first), sizes[what](second)) for what in found]
    columns = [
        _column("first", [f"{one.total()}" for one, _ in counted]),
        _column("second", [f"{two.total()}" for _, two in counted]),
        _column("first mean", [format_total(round(mean(one))) for one, _ in counted]),
        _column("second mean", [format_total(round(mean(two))) for _, two in counted]),
        _column("KS", [f"{float(each.ks):.4f}" for each in found.values()]),
        _column("Wasserstein B", [f"{float(each.wasserstein):.1f}" for each in found.values()]),
        _column("of mean", [f"{float(each.relative):.2%}" for each in found.values()]),
    ]
    show_columns([_column("sizes of", list(found), left=True)], columns, console)
    for what, each in found.items():
        show_line(each.words(what), console, "")


def diff_as_json(first: Profile, second: Profile) -> str:
    """The same for programs; fractions as floating-point numbers."""
    report = {
        "format": "tensorwire.profile-diff",
        "first": first.name,
        "second": second.name,
        "distances": {
            what: {
                "ks": float(each.ks),
                "wasserstein_bytes": float(each.wasserstein),
                "first_mean_bytes": float(each.mean),
                "words": each.words(what),
            }
            for what, each in distances(first, second).items()
        },
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def _heading(profile: Profile) -> list[tuple[str, str]]:
    captured = profile.captured
    everything = whole(profile)
    processes = _count(captured.processes, "process") if captured.processes else "processes not known"
    sent = f"{_count(everything.messages, 'message')} of {_count(sum(everything.buffers), 'buffer')}"
    steps = f", in {_count(len(profile.steps) - profile.warmup, 'step')}" if profile.steps else "; no steps were seen"
    lines = [
        ("captured", f"{captured.program or 'unknown program'} by {captured.instrument}, {processes}"),
        ("command", " ".join(captured.command) or "not known"),
        ("time", f"{captured.created or 'date not known'}, for {format_duration(float(captured.duration_ns))}"),
        ("sent", f"{sent}, {format_total(everything.total)}{steps}"),
    ]
    if outside := len(profile.messages) - len(profile.steady):
        warm = f" and in {_count(profile.warmup, 'step')} of warm-up" if profile.warmup else ""
        lines.append(("left out", f"messages outside the steps{warm}: {outside}; they do not count here"))
    return lines + [("note", note) for note in captured.notes]


def _count(count: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"


def _categories(everything: Tally) -> tuple[list[Column], list[Column]]:
    bounds = ("below 1 KiB", "1 KiB to below 1 MiB", "1 MiB and more")
    first = [_column("buffers", list(CATEGORIES), left=True), _column("size", list(bounds), left=True)]
    return first, [
        _column("count", [str(each) for each in everything.buffers]),
        _column("of buffers", _shares(everything.buffers)),
        _column("bytes", [format_total(each) for each in everything.bytes]),
        _column("of bytes", _shares(everything.bytes)),
    ]


def _show_histogram(found: Sequence[Bin], console: Console) -> None:
    most = max((each.buffers for each in found), default=0)
    volume = max((each.bytes for each in found), default=0) or 1
    draw = _ascii_bar if console.options.ascii_only else _bar
    columns = [
        _column("buffer", [f"{binary(each.low)} to < {binary(each.high)}" for each in found]),
        _column("", [draw(each.buffers, most) for each in found], left=True),
        _column("count", [str(each.buffers) for each in found]),
        _column("", [draw(each.bytes, volume) for each in found], left=True),
        _column("bytes", [format_total(each.bytes) for each in found]),
    ]
    show_columns(columns[:1], columns[1:], console)


def _show_groups(titles: Sequence[str], groups: Mapping[tuple[str, str], Tally], steps: int, console: Console) -> None:
    """Those that move most bytes first; with the bytes in each of so many steps, on average."""
    names, tallies = list(groups), list(groups.values())
    order = sorted(range(len(names)), key=lambda i: -tallies[i].total)[:_MOST_ROWS]
    first = [
        _column(title, [last_word(names[i][place]) or "-" for i in order], left=True)
        for place, title in enumerate(titles)
    ]
    show_columns(first, _values([tallies[i] for i in order], steps), console)
    _say_more(len(names), console)


def _show_steps(profile: Profile, console: Console) -> None:
    tallies = by(profile, lambda message: message[3])
    steps = sorted(step for step in tallies if step != OUTSIDE)
    if not steps:
        return
    shown = steps[:_MOST_ROWS]
    spans = [profile.steps[step] for step in shown]
    first = [
        _column("step", [str(step + 1) for step in shown]),
        _column("time", [format_duration(float(end - begin)) for begin, end in spans]),
    ]
    show_columns(first, _values([tallies[step] for step in shown]), console)
    _say_more(len(steps), console)


def _say_more(rows: int, console: Console, shown: int = _MOST_ROWS) -> None:
    if rows > shown:
        show_line(f"... and {rows - shown} more; --format json has all", console, "dim")
        console.print()


def _values(tallies: Sequence[Tally], steps: int = 0) -> list[Column]:
    in_step = _column("bytes /step", [format_total(round(each.total / (steps or 1))) for each in tallies])
    return [
        _column("messages", [str(each.messages) for each in tallies]),
        _column("bytes", [format_total(each.total) for each in tallies]),
        *([in_step] if steps else []),
        _column("mean", [format_total(round(each.total / each.messages)) for each in tallies]),
        *(_column(name, [str(each.buffers[i]) for each in tallies]) for i, name in enumerate(CATEGORIES)),
    ]


def _show_payloads(profile: Profile, console: Console) -> None:
    """The messages as their buffers, those that move most bytes first."""
    found = sorted(_payloads(profile), key=lambda each: -sum(each[0][1]) * each[1])
    shown = found[:_MOST_PAYLOADS]
    first = [
        Column(
            header=("message as its buffers",), justify="left", cells=tuple(_buffers(sizes) for (_, sizes), _ in shown)
        )
    ]
    columns = [
        _column("count", [str(times) for _, times in shown]),
        _column("bytes", [format_total(sum(sizes) * times) for (_, sizes), times in shown]),
        _column("method", [last_word(name) or "-" for (name, _), _ in shown], left=True),
    ]
    show_columns(first, columns, console)
    _say_more(len(found), console, _MOST_PAYLOADS)


def _payloads(profile: Profile) -> list[tuple[tuple[str, Sequence[int]], int]]:
    """Each different vector of buffers of a method, and how often it came."""
    found = Counter((profile.streams[message[1]].method, message[2]) for message in profile.steady)
    return [((name, profile.payloads[payload]), times) for (name, payload), times in found.items()]


def _buffers(sizes: Sequence[int]) -> str:
    shown = " + ".join(str(size) for size in sizes[:_MOST_BUFFERS]) or "nothing"
    return shown + (f" + {len(sizes) - _MOST_BUFFERS} more" if len(sizes) > _MOST_BUFFERS else "")


def _show_system_calls(profile: Profile, console: Console) -> None:
    found = sorted(profile.system_calls, key=lambda each: -each.bytes)
    if not found:
        return
    show_line(_TRANSPORT, console, "")
    shown = found[:_MOST_ROWS]
    names = [(profile.roles[each.sender], _receiver(profile, each.receiver)) for each in shown]
    first = [_column(title, [name[place] for name in names], left=True) for place, title in enumerate(("from", "to"))]
    columns = [
        _column("calls", [str(each.calls) for each in shown]),
        _column("bytes", [format_total(each.bytes) for each in shown]),
        _column("iovecs p50", [str(_middle(each.per_call)) for each in shown]),
        _column("iovecs max", [str(each.per_call[-1][0]) for each in shown]),
        _column("iovec p50 B", [str(_middle(each.iovecs)) for each in shown]),
        _column("iovec max B", [str(each.iovecs[-1][0]) for each in shown]),
    ]
    show_columns(first, columns, console)
    _say_more(len(found), console)


def _middle(counts: Counts) -> int:
    """The median of values given as how often each came."""
    half = (sum(times for _, times in counts) + 1) // 2
    return next(
        value for (value, _), so_far in zip(counts, accumulate(n for _, n in counts), strict=True) if so_far >= half
    )


def _peers(profile: Profile, number: int) -> tuple[str, str]:
    stream = profile.streams[number]
    return profile.roles[stream.sender], _receiver(profile, stream.receiver)


def _receiver(profile: Profile, role: int) -> str:
    return "?" if role == OUTSIDE else profile.roles[role]


def _method(profile: Profile, number: int) -> tuple[str, str]:
    return profile.streams[number].method, profile.streams[number].kind


def _numbers(tally: Tally) -> dict[str, object]:
    return {
        "messages": tally.messages,
        "bytes": tally.total,
        "buffers_by_category": dict(zip(CATEGORIES, tally.buffers, strict=True)),
        "bytes_by_category": dict(zip(CATEGORIES, tally.bytes, strict=True)),
    }


def _column(header: str, cells: Sequence[str], left: bool = False) -> Column:
    return Column(header=tuple(header.split(" ")), cells=tuple(cells), justify="left" if left else "right")


def _shares(parts: Sequence[int]) -> list[str]:
    return [f"{part / (sum(parts) or 1):.1%}" for part in parts]


def _bar(value: int, most: int) -> str:
    """From zero; only zero is blank."""
    eighths = max(value > 0, round(value * _BAR_WIDTH * 8 / most))
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def _ascii_bar(value: int, most: int) -> str:
    return "#" * max(value > 0, round(value * _BAR_WIDTH / most))
