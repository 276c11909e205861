"""A profile for people and programs: how it was captured, its sizes as a picture, and who sent what."""

from collections.abc import Sequence

import msgspec
from rich.console import Console

from tensorwire.distance import Distance, distance, mean
from tensorwire.profile import OUTSIDE, Profile
from tensorwire.report.columns import Column
from tensorwire.report.drawing import show_columns, show_line, show_words
from tensorwire.report.tally import CATEGORIES, Bin, Tally, bins, by, whole
from tensorwire.units import format_duration, format_size

_MOST_ROWS = 12
_BAR_WIDTH = 32
_EIGHTHS = "▏▎▍▌▋▊▉█"


def show(profile: Profile, console: Console) -> None:
    """Prints the profile in tables no wider than the console."""
    show_line(f"profile {profile.name}", console, "bold")
    show_words(_heading(profile), console, dim=0)
    everything = whole(profile)
    if not everything.messages:
        return
    show_columns(*_categories(everything), console)
    _show_histogram(bins(profile), console)
    streams = by(profile, lambda message: message[1])
    names = [_stream(profile, number) for number in streams]
    _show_groups(("from", "to", "kind", "method"), names, list(streams.values()), console)
    methods = by(profile, lambda message: _method(profile, message[1]))
    if len(methods) < len(streams):
        _show_groups(("kind", "method"), list(methods), list(methods.values()), console)
    _show_steps(profile, console)


def as_json(profile: Profile) -> str:
    """The same for programs: sizes in bytes, times in nanoseconds."""
    streams = by(profile, lambda message: message[1])
    methods = by(profile, lambda message: _method(profile, message[1]))
    steps = by(profile, lambda message: message[3])
    report = {
        "format": "tensorwire.profile-report",
        "name": profile.name,
        "captured": profile.captured,
        "roles": profile.roles,
        "left_out": len(profile.messages) - len(profile.steady),
        "total": _numbers(whole(profile)),
        "histogram": bins(profile),
        "streams": [
            {**msgspec.structs.asdict(profile.streams[number]), **_numbers(each)} for number, each in streams.items()
        ],
        "methods": [{"kind": kind, "method": name, **_numbers(each)} for (kind, name), each in methods.items()],
        "steps": [
            {"step": step, "begin_ns": profile.steps[step][0], "end_ns": profile.steps[step][1], **_numbers(each)}
            for step, each in sorted(steps.items())
            if step != OUTSIDE
        ],
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
        _column("first mean", [format_size(round(mean(one))) for one, _ in counted]),
        _column("second mean", [format_size(round(mean(two))) for _, two in counted]),
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
    processes = "1 process" if captured.processes == 1 else f"{captured.processes} processes"
    lines = [
        ("captured", f"{captured.program or 'unknown program'} by {captured.instrument}, {processes}"),
        ("command", " ".join(captured.command) or "not known"),
        ("time", f"{captured.created or 'date not known'}, for {format_duration(float(captured.duration_ns))}"),
        (
            "sent",
            f"{everything.messages} messages of {sum(everything.buffers)} buffers, {format_size(everything.total)}"
            + (f", in {len(profile.steps)} steps" if profile.steps else "; no steps were seen"),
        ),
    ]
    if outside := len(profile.messages) - len(profile.steady):
        lines.append(("left out", f"messages outside the steps, such as start-up: {outside}; they do not count below"))
    return lines + [("note", note) for note in captured.notes]


def _categories(everything: Tally) -> tuple[list[Column], list[Column]]:
    bounds = ("below 1 KiB", "1 KiB to below 1 MiB", "1 MiB and more")
    first = [_column("buffers", list(CATEGORIES), left=True), _column("size", list(bounds), left=True)]
    return first, [
        _column("count", [str(each) for each in everything.buffers]),
        _column("of buffers", _shares(everything.buffers)),
        _column("bytes", [format_size(each) for each in everything.bytes]),
        _column("of bytes", _shares(everything.bytes)),
    ]


def _show_histogram(found: Sequence[Bin], console: Console) -> None:
    most = max((each.buffers for each in found), default=0)
    draw = _ascii_bar if console.options.ascii_only else _bar
    columns = [
        _column("buffer", [f"{_binary(each.low)} to < {_binary(each.high)}" for each in found]),
        _column("", [draw(each.buffers, most) for each in found], left=True),
        _column("count", [str(each.buffers) for each in found]),
        _column("bytes", [format_size(each.bytes) for each in found]),
    ]
    show_columns(columns[:2], columns[2:], console)


def _show_groups(
    titles: Sequence[str], names: Sequence[tuple[str, ...]], tallies: Sequence[Tally], console: Console
) -> None:
    order = sorted(range(len(names)), key=lambda i: -tallies[i].total)[:_MOST_ROWS]
    first = [
        _column(title, [names[i][place].rpartition("/")[2] or "-" for i in order], left=True)
        for place, title in enumerate(titles)
    ]
    show_columns(first, _values([tallies[i] for i in order]), console)
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


def _say_more(rows: int, console: Console) -> None:
    if rows > _MOST_ROWS:
        show_line(f"... and {rows - _MOST_ROWS} more; --format json has all", console, "dim")


def _values(tallies: Sequence[Tally]) -> list[Column]:
    return [
        _column("messages", [str(each.messages) for each in tallies]),
        _column("bytes", [format_size(each.total) for each in tallies]),
        _column("mean", [format_size(round(each.total / each.messages)) for each in tallies]),
        *(_column(name, [str(each.buffers[i]) for each in tallies]) for i, name in enumerate(CATEGORIES)),
    ]


def _stream(profile: Profile, number: int) -> tuple[str, str, str, str]:
    stream = profile.streams[number]
    receiver = "?" if stream.receiver == OUTSIDE else profile.roles[stream.receiver]
    return profile.roles[stream.sender], receiver, stream.kind, stream.method


def _method(profile: Profile, number: int) -> tuple[str, str]:
    return profile.streams[number].kind, profile.streams[number].method


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


def _binary(size: int) -> str:
    """A power of 2 in binary units, without decimals."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    power = max(size.bit_length() - 1, 0) // 10
    return f"{size >> (10 * power)} {units[power]}"


def _bar(value: int, most: int) -> str:
    """From zero; only zero is blank."""
    eighths = max(value > 0, round(value * _BAR_WIDTH * 8 / most))
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def _ascii_bar(value: int, most: int) -> str:
    return "#" * max(value > 0, round(value * _BAR_WIDTH / most))
