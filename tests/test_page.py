"""Pages: what the sentences say, what the sections show, and what can do no harm."""

import base64
import gzip
import html
import json
import re
import sys
from html.parser import HTMLParser

import altair
import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorwire.errors import ReportUnavailable
from tensorwire.histogram import Histogram
from tensorwire.page import Figure, hosts
from tensorwire.page.answer import answer
from tensorwire.page.axes import size_axis
from tensorwire.page.entries import entries, labels
from tensorwire.page.glance import glance
from tensorwire.page.limits import warnings
from tensorwire.page.render import picture
from tensorwire.page.sections import NAMES, sections
from tensorwire.page.sections.mesh import outliers, pairs
from tensorwire.page.sections.tails import _dots as tail
from tensorwire.page.writing import page, pictures
from tensorwire.result import Result
from tests import pages
from tests.results import failing, repeated, workers
from tests.results import result as nothing

MOST_BYTES = 1_500_000


def figures(*results: Result) -> list[Figure]:
    return [figure for section in sections(entries(results)) for figure in section.figures]


def figure(name: str, *results: Result) -> Figure:
    """The first whose name begins so."""
    return next(each for each in figures(*results) if each.name.startswith(name))


def sentences(*results: Result) -> list[str]:
    found = answer(entries(results))
    return [found.sentence, *found.more]


class Read(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and all text outside of styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def whole() -> str:
    return page(pages.everything())


class TestAnswer:
    def test_holds_two_channels_against_each_other_by_the_payload_that_tells_most(self) -> None:
        found = sentences(pages.bandwidth("grpc", *[2_000_000] * 4), pages.bandwidth("tcp", *[1_000_000] * 4))
        assert found[0] == (
            "On this host tcp moves the skew payload (6.03 MB) 2 times as fast as grpc, 6.03 GB/s against 3.02 GB/s."
        )
        assert found[1].startswith("That is p2p-bandwidth, payload sent per second, over 4 repetitions; ")
        assert found[1].endswith("the 95 % interval of the ratio is 2 to 2.")

    def test_the_shorter_time_is_the_faster(self) -> None:
        found = sentences(pages.latency("grpc", *[1_300_000] * 4), pages.latency("tcp", *[1_000_000] * 4))
        assert "tcp brings the skew payload (6.03 MB) there and back 1.3 times as fast as grpc" in found[0]
        assert "1.00 ms against 1.30 ms" in found[0]

    def test_says_so_when_repetitions_are_too_few_to_prove_it(self) -> None:
        two = sentences(pages.latency("grpc", 2_000_000, 2_000_000), pages.latency("tcp", 1_000_000, 1_000_000))
        assert two[1].endswith("the medians of 2 repetitions: fewer than 4 on each side do not prove which is faster.")
        one = sentences(pages.latency("grpc", 2_000_000), pages.latency("tcp", 1_000_000))
        assert one[1].endswith("one repetition each: nothing tells how far the next would be from it.")

    def test_channels_whose_interval_holds_1_cannot_be_told_apart(self) -> None:
        noisy = [500_000, 1_000_000, 2_000_000, 1_100_000]
        found = sentences(pages.latency("grpc", *noisy), pages.latency("tcp", *reversed(noisy)))
        assert "cannot be told apart" in found[0]

    def test_medians_that_are_nearly_alike_are_said_to_be(self) -> None:
        found = sentences(pages.latency("grpc", 1_001_000), pages.latency("tcp", 1_000_000))
        assert "tcp and grpc are within 1 % of each other" in found[0]

    def test_counts_the_measurements_in_which_it_is_the_other_way_round(self) -> None:
        found = sentences(
            pages.bandwidth("grpc", 1_000_000),
            pages.bandwidth("tcp", 2_000_000),
            pages.latency("grpc", 4_000_000),
            pages.latency("tcp", 2_000_000),
        )
        assert found[0].startswith("On this host grpc moves")
        assert found[0].endswith("but tcp is the faster one in 1 of 2 measurements.")
        assert "grpc is 0.5 to 2 times as fast as tcp" in found[2]

    def test_one_channel_alone_is_said_with_its_number(self) -> None:
        found = sentences(pages.latency("grpc", 1_500_000))
        assert found[0] == "On this host grpc brings the skew payload (6.03 MB) there and back in 1.50 ms."

    def test_replayed_steps_come_first_and_tell_the_share_of_the_recorded_step(self) -> None:
        found = sentences(pages.bandwidth("grpc", 1_000_000), pages.steps("grpc", 4_000_000))
        assert found[0].endswith("in 4.00 ms, 40 % of the time that the recorded step took.")

    def test_a_channel_that_moves_nothing_wins_no_race(self) -> None:
        found = sentences(pages.latency("null", 100), pages.latency("tcp", 1_000_000))
        assert found[0].startswith("On this host tcp brings")

    def test_other_payloads_and_settings_are_never_held_against_each_other(self) -> None:
        slower = pages.latency(
            "tcp", 3_000_000, spec=msgspec.structs.replace(pages.latency("tcp", 1).spec, seed=1, threads=2)
        )
        assert "as fast as" not in " ".join(sentences(pages.latency("grpc", 1_000_000), slower))

    def test_results_without_a_number_say_that_they_answer_nothing(self) -> None:
        assert sentences(failing("gone"))[0].startswith("These results answer nothing: of 1 point none was measured")


class TestSections:
    def test_every_kind_has_something_to_show_of_a_set_that_has_it_all(self) -> None:
        assert [each.name for each in sections(entries(pages.everything()))] == list(NAMES)

    def test_every_picture_has_words_a_table_and_a_specification_that_is_vega_lite(self) -> None:
        for each in figures(*pages.everything()):
            assert each.title
            assert each.words.endswith(".")
            assert each.table.rows
            assert {len(row) for row in each.table.rows} == {len(each.table.header)}
            jsonschema.validate(each.chart, altair.load_schema(), jsonschema.Draft7Validator)

    def test_the_pictures_of_sizes_have_bands_where_there_are_repetitions(self) -> None:
        many = figure("sizes-p2p-latency-rtt-p50", pages.sweep("grpc", 1, 1.1, 0.9))
        dots = [value for value in many.chart["data"]["values"] if value["x"] == 1 << 10]
        assert [(each["y"], each["low"], each["high"]) for each in dots] == [
            (pytest.approx(200, rel=0.01), pytest.approx(180, rel=0.01), pytest.approx(220, rel=0.01))
        ]
        single = figure("sizes-p2p-latency-rtt-p50", pages.sweep("grpc", 1))
        assert {value["low"] for value in single.chart["data"]["values"]} == {None}

    def test_a_step_stands_against_the_recorded_one(self) -> None:
        found = figure("steps", pages.steps("grpc", 4_000_000))
        assert "4.00 ms, 40 % of it; the recorded step took 10.0 ms" in found.words

    def test_the_parts_of_a_round_trip_add_up(self) -> None:
        found = figure("stack", pages.serialized("grpc"))
        parts = {value["series"]: value["value"] for value in found.chart["data"]["values"]}
        assert parts == {"serialization": pytest.approx(30), "communication": pytest.approx(70)}
        assert "30 % of the mean round trip is serialization" in found.words

    def test_a_pair_that_is_far_from_the_others_stands_out(self) -> None:
        (entry,) = entries([pages.mesh("grpc", slow=(2, 3))])
        assert [(pair.caller, pair.peer) for pair in outliers(pairs(entry))] == [(2, 3)]
        (section,) = [each for each in sections([entry]) if each.name == "mesh"]
        assert section.notes == ("grpc: 2 to 3 (9.00 ms) stands out.",)

    def test_the_recorded_distribution_stands_beside_the_one_that_was_sent(self) -> None:
        found = figure("replayed", pages.replay())
        recorded = dict(zip(found.table.header, found.table.rows[0], strict=True))
        assert recorded["number"] == "10"
        assert recorded["50 % up to"] == "100 B"
        assert recorded["100 % up to"] == "30 KB"

    def test_workers_are_shown_by_their_number_and_one_by_one(self) -> None:
        results = [workers(50, 60), workers(50, 60, 10)]
        assert "1/n is one" in next(each.lead for each in sections(entries(results)) if each.name == "servers")
        assert [dot["x"] for dot in figure("servers-rpcs", *results).chart["data"]["values"]] == [2, 3]
        shares = figure("servers-shares", *results)
        assert "worker 3 10 RPC/s" in shares.words

    def test_stalls_are_marked_where_they_were(self) -> None:
        run = repeated(*[1_000_000], calls=100)
        (measured,) = run.repetitions
        server, caller = measured.measurements
        stalled = msgspec.structs.replace(
            caller, calling=pages.calling([1_000_000] * 50 + [100_000_000] + [1_000_000] * 50)
        )
        stalling = msgspec.structs.replace(
            run, repetitions=(msgspec.structs.replace(measured, measurements=(server, stalled)),)
        )
        found = figure("course", stalling)
        assert "stalled slices 9" in found.words
        (marks,) = [layer for layer in found.chart["layer"] if "data" in layer]
        assert [mark["x"] for mark in marks["data"]["values"]] == pytest.approx([0.065 + 0.01 * i for i in range(9)])

    @given(st.lists(st.integers(1, 10**9), min_size=20, max_size=300))
    def test_a_percentile_curve_rises_from_the_shortest_to_the_longest(self, latencies: list[int]) -> None:
        dots = list(tail("a", Histogram.of(latencies)))
        assert [dot.x for dot in dots] == sorted({dot.x for dot in dots})
        assert [dot.y for dot in dots] == sorted(dot.y for dot in dots)
        assert dots[-1].y == max(latencies) / 1e3

    @given(st.sets(st.integers(1, 2**31), min_size=2))
    def test_sizes_have_ticks_at_few_powers_of_two(self, sizes: set[int]) -> None:
        ticks = size_axis(sorted(sizes))["axis"]["values"]
        assert len(ticks) <= 8
        assert all(tick & (tick - 1) == 0 and min(sizes) <= tick <= max(sizes) for tick in ticks)


class TestLabels:
    def test_of_one_is_its_channel(self) -> None:
        assert labels(entries([pages.latency("grpc", 1)])) == ["grpc"]

    def test_no_two_entries_are_taken_for_one(self) -> None:
        found = entries([*pages.everything(), pages.of_elsewhere(pages.latency("grpc", 1))])
        named = [
            f"{entry.benchmark} {entry.payload} {label}" for entry, label in zip(found, labels(found), strict=True)
        ]
        assert len(set(named)) == len(named)

    def test_of_two_hosts_name_the_host(self) -> None:
        here = pages.latency("grpc", 1)
        assert labels(entries([here, pages.of_elsewhere(here)])) == ["grpc, here", "grpc, there"]

    def test_of_two_durations_name_the_duration(self) -> None:
        short = pages.latency("grpc", 1)
        longer = msgspec.structs.replace(
            short, spec=msgspec.structs.replace(short.spec, duration_ns=2 * short.spec.duration_ns)
        )
        assert labels(entries([short, longer])) == ["grpc, duration 1.00 s", "grpc, duration 2.00 s"]


class TestGlance:
    def test_has_a_row_for_a_measurement_and_marks_the_best(self) -> None:
        found = glance(entries([pages.latency("grpc", 2_000_000), pages.latency("tcp", 1_000_000)]))
        (group,) = found.groups
        (row,) = group.rows
        assert found.channels == ("grpc", "tcp")
        assert [(cell.value, cell.best) for cell in row.cells] == [("2.00 ms", False), ("1.00 ms", True)]

    def test_a_failed_measurement_is_said_to_have_failed(self) -> None:
        (group,) = glance(entries([failing("gone")])).groups
        assert [cell.value for row in group.rows for cell in row.cells] == ["failed"]

    def test_of_a_sweep_has_the_first_and_the_last_size(self) -> None:
        (group,) = glance(entries([pages.sweep("grpc", 1)])).groups
        assert [row.payload for row in group.rows] == ["32 B", "1 MiB"]


class TestWarnings:
    def of(self, *results: Result) -> str:
        return "\n".join(warnings(results, entries(results)))

    def test_none_where_nothing_is_wrong(self) -> None:
        assert self.of(pages.latency("grpc", 1_000_000)) == ""

    def test_failures_and_what_was_cut_short(self) -> None:
        assert "32 B failed in 1 of 2 repetitions: PeerLost: rank 0 went away" in self.of(
            failing(None, "rank 0 went away")
        )
        cut = msgspec.structs.replace(repeated(100), status="partial")
        assert "Partial result: the run was cut short" in self.of(cut)

    def test_a_rate_above_what_the_interface_carried(self) -> None:
        assert "10.0 MB/s is more than the interface carried, which counted 0.0005 bytes" in self.of(pages.replay())

    def test_a_channel_that_moves_nothing(self) -> None:
        assert "null moves nothing" in self.of(pages.latency("null", 100))

    def test_a_busy_host_and_shared_cores(self) -> None:
        busy = pages.mesh("grpc")
        facts = msgspec.structs.replace(busy.environment, facts={"load_average": "7.5 1 1"})
        found = self.of(msgspec.structs.replace(busy, environment=facts))
        assert "here was busy: when a run began, its load average was up to 7.5 on 2 cores." in found
        assert "up to 4 of them run on 2 cores of here" in found


class TestHosts:
    def test_what_differs_between_two(self) -> None:
        here = pages.latency("grpc", 1)
        apart = hosts.apart(hosts.hosts([here, pages.of_elsewhere(here)]))
        assert apart is not None
        assert apart.header == ("", "here", "there")
        assert ("kernel", "Linux 6.1", "Linux 6.9") in apart.rows
        assert ("turbo", "-", "on") in apart.rows
        assert not any(row[0] == "cores" for row in apart.rows)

    def test_one_host_differs_from_nothing(self) -> None:
        assert hosts.apart(hosts.hosts([pages.latency("grpc", 1), pages.sweep("tcp", 1)])) is None


class TestPage:
    def test_is_one_small_file_that_asks_for_nothing(self, whole: str) -> None:
        read = Read(whole)
        assert len(whole.encode()) < MOST_BYTES
        assert not {"script", "iframe", "img", "object"} & {tag for tag, _ in read.elements}
        links = [
            value for _, attributes in read.elements for name, value in attributes.items() if name in ("href", "src")
        ]
        assert all(link and link.startswith(("#", "data:")) for link in links)
        assert not re.search(r"url\((?!#)|@import", whole)

    def test_begins_with_the_answer(self, whole: str) -> None:
        assert f"<h1>{html.escape(sentences(*pages.everything())[0])}</h1>" in whole

    def test_every_picture_is_named_and_described(self, whole: str) -> None:
        read = Read(whole)
        drawn = [attributes for tag, attributes in read.elements if tag == "svg"]
        ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
        assert len(drawn) == len(figures(*pages.everything()))
        assert len(ids) == len(set(ids))
        for attributes in drawn:
            assert attributes["role"] == "img"
            assert set((attributes["aria-labelledby"] or "").split()) <= set(ids)

    def test_every_colour_is_one_of_the_page_in_light_and_dark(self, whole: str) -> None:
        used = set(re.findall(r"var\((--\w+)\)", whole))
        light, dark = re.findall(r":root \{ (--ink[^}]*)\}", whole)
        assert all(f"{name}:" in light and f"{name}:" in dark for name in used)
        svgs = "".join(re.findall(r"<svg.*?</svg>", whole, re.DOTALL))
        assert not re.findall(r'(?:fill|stroke)="#', svgs)

    def test_its_data_can_be_taken_out(self, whole: str) -> None:
        addresses = {
            attributes["download"]: attributes["href"] or ""
            for _, attributes in Read(whole).elements
            if "download" in attributes
        }
        data = {name: base64.b64decode(address.partition(",")[2]) for name, address in addresses.items()}
        assert data["results.csv"].startswith(b"created,benchmark,")
        assert len(json.loads(gzip.decompress(data["results.json.gz"]))) == len(pages.everything())

    def test_the_same_results_make_the_same_page(self, whole: str) -> None:
        assert page(pages.everything()) == whole

    def test_names_in_a_result_are_words_and_nothing_else(self) -> None:
        bad = pages.HOSTILE
        harmless = pages.replay("name")
        harmful = pages.replay(bad)
        harmful = msgspec.structs.replace(
            harmful,
            payload=harmful.payload.replace("name", bad),
            created=bad,
            tensorwire=bad,
            environment=msgspec.structs.replace(harmful.environment, host=bad, kernel=bad, facts={bad: bad}),
            repetitions=failing(None, bad).repetitions,
            traffic=msgspec.structs.replace(harmful.traffic, roles=(bad, "worker")),
        )
        found, plain = Read(page([harmful, pages.steps("grpc", 1000)])), Read(page([harmless]))
        assert {tag for tag, _ in found.elements} <= {tag for tag, _ in plain.elements} | {"ul", "li", "div"}
        assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
        assert bad in found.words
        assert "49" not in found.words.replace(bad, "").partition("At a glance")[0]

    @pytest.mark.parametrize(
        "results",
        [
            [repeated(100_000)],
            [failing("gone")],
            [failing(None, "gone")],
            [msgspec.structs.replace(repeated(100_000), status="partial")],
            [nothing()],
            [pages.old(pages.latency("grpc", 1_000_000))],
            [pages.latency("of-a-plug-in", 1_000_000)],
            [pages.latency("grpc", 1), pages.of_elsewhere(pages.latency("grpc", 2))],
        ],
        ids=["single", "failed", "one failed", "partial", "nothing", "old", "unknown channel", "two hosts"],
    )
    def test_of_any_results_there_is_one(self, results: list[Result]) -> None:
        assert Read(page(results)).words.count("At a glance") == 2

    def test_of_a_benchmark_that_is_not_installed_here_there_is_one(self) -> None:
        measured = pages.latency("grpc", 1_000_000)
        unknown = msgspec.structs.replace(measured.spec, benchmark="of-a-plug-in")
        assert "of-a-plug-in" in page([msgspec.structs.replace(measured, spec=unknown)])

    def test_of_thirty_results_it_is_still_small(self) -> None:
        many = [
            pages.sweep(f"channel-{number}", 1, 1.1, 0.9)
            if number % 2
            else pages.latency(f"channel-{number}", 1_000_000 + number)
            for number in range(30)
        ]
        assert len(page(many).encode()) < MOST_BYTES

    @settings(max_examples=10, deadline=None)
    @given(st.lists(st.sampled_from(pages.everything()), min_size=1, max_size=4))
    def test_any_choice_of_results_has_sections_and_an_answer(self, results: list[Result]) -> None:
        assert answer(entries(results)).sentence.endswith(".")
        assert all(each.table.rows for each in figures(*results))


class TestPictures:
    @pytest.mark.parametrize(("form", "begin"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
    def test_are_what_their_names_say(self, form: str, begin: bytes) -> None:
        drawn = picture(figure("schemes", pages.latency("grpc", 1_000_000)), form)
        assert drawn.startswith(begin)

    def test_have_a_file_each(self) -> None:
        made = dict(pictures([pages.latency("grpc", 1_000_000), pages.replay(pages.HOSTILE)], "svg"))
        assert len(made) == len(figures(pages.latency("grpc", 1_000_000), pages.replay(pages.HOSTILE)))
        assert all(re.fullmatch(r"[a-z0-9-]+\.svg", name) for name in made)
        assert all(b"<desc>" in data and b"#fe" not in data for data in made.values())

    def test_a_missing_package_is_named_with_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "vl_convert", None)
        with pytest.raises(ReportUnavailable, match=r"needs vl-convert-python: pip install 'tensorwire\[report\]'"):
            list(pictures([pages.latency("grpc", 1_000_000)], "svg"))
        monkeypatch.setitem(sys.modules, "jinja2", None)
        with pytest.raises(ReportUnavailable, match="needs Jinja2"):
            page([pages.latency("grpc", 1_000_000)])
