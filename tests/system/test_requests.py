"""What is refused before any rank starts: one sentence that names the culprit and the remedy, and the design's code."""

import os
import socket
from pathlib import Path

import pytest

from tensorwire import registry
from tensorwire.spec import Scheme
from tests.system.conftest import Run
from tests.system.driver import SHORT

LATENCY = ("run", "p2p-latency", "-c", "tcp")


def test_an_unknown_benchmark_lists_the_known_ones(run: Run) -> None:
    run("run", "p2p-latncy").refused(2, "'p2p-latncy'", "did you mean p2p-latency", *registry.names("benchmark"))


def test_an_unknown_channel_lists_the_known_ones(run: Run) -> None:
    run("run", "-c", "grcp").refused(2, "'grcp'", "did you mean grpc", *registry.names("channel"))


def test_an_unknown_launcher_lists_the_known_ones(run: Run) -> None:
    run("run", "--launcher", "slurp").refused(2, "launcher 'slurp'", *registry.names("launcher"))


def test_an_unknown_option_of_a_channel_lists_the_known_ones(run: Run) -> None:
    run("run", "-c", "grpc", "-o", "cal=stream").refused(2, "channel grpc", "'cal'", "did you mean call", "frame_size")


def test_an_unknown_scheme_lists_the_known_ones(run: Run) -> None:
    done = run("run", "--scheme", "even")
    assert done.code == 2
    assert "Traceback" not in done.stderr
    for scheme in Scheme.__args__:
        assert str(scheme.__struct_config__.tag) in done.stderr


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("--small", "1KB"), ("small is 1000", "1 to 999 B")),
        (("--medium", "999"), ("medium is 999", "1000 to 999999")),
        (("--large", "11MB"), ("large is 11000000", "1000000 to 10000000")),
        (("--small", "0"), ("small is 0",)),
        (("--small", "ten"), ("'ten'", "KiB")),
        (("--host", "no.such.host.invalid"), ("'no.such.host.invalid'",)),
        (("--count", "0"), ("count is 0", "1 to")),
        (("--buffers", ""), ("buffers",)),
        (("--buffers", "0"), ("buffers is 0", "1 B")),
        (("--sizes", "3GiB"), ("3221225472",)),
        (("--sizes", "0"), ("sizes is 0", "1 B to 2 GiB")),
        (("--sizes", "8", "--begin", "8", "--end", "16"), ("sizes is '8'", "--begin and --end")),
        (("--sizes", "1KB", "--scheme", "skew"), ("sizes", "without a")),
        (("--begin", "8"), ("--begin and --end",)),
        (("--begin", "8", "--end", "4"), ("8 to 4",)),
        (("--scheme", "skew", "--categories", "large"), ("categories",)),
        (("--scheme", "skew", "--categories", "large,huge"), ("huge",)),
        (("--weights", "1,2,3"), ("weights is '1,2,3'", "scheme uniform", "goes with skew")),
        (("--buffers", "8", "--scheme", "uniform"), ("buffers is '8'", "goes with custom")),
        (("--rate", "9", "--arrivals", "closed"), ("rate is 9", "constant or poisson")),
        (("--arrivals", "poisson"), ("load needs rate",)),
        (("--nodes", "2"), ("p2p-latency", "unknown option 'nodes'")),
        (("--port", "65536"), ("port is 65536", "0 to 65535")),
        (("--threads", "0"), ("threads is 0",)),
        (("--outstanding", "5000"), ("outstanding is 5000", "1 to 4096")),
        (("--duration", "0s"), ("duration",)),
        (("--warmup", "-1s"), ("warmup",)),
        (("--duration", "soon"), ("'soon'", "500ms")),
        (("--rate", "-1"), ("rate is -1",)),
        (("--repeat", "0"), ("repeat is 0",)),
        (("--precision", "120%"), ("precision is 1.2", "1%")),
        (("--precision", "tight"), ("precision is 'tight'", "1%")),
        (("--workers", "2"), ("workers is 2", "ps-throughput")),
        (("--host", "192.0.2.1"), ("192.0.2.1", "localhost")),
        (("--congestion", "warp"), ("'warp'",)),
        (("--mode", "serialized"), ("tcp", "serialized", "--mode non-serialized")),
        (("-o", "call"), ("KEY=VALUE",)),
        (("--spec", "absent.toml"), ("absent.toml", "No such file")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_a_request_that_makes_no_sense_names_the_culprit(
    run: Run, words: tuple[str, ...], fragments: tuple[str, ...]
) -> None:
    run(*LATENCY, *words).refused(2, *fragments)


def test_more_memory_than_the_machine_has_is_refused(run: Run) -> None:
    run(*LATENCY, "--sizes", "2GiB", "-q", "4096").refused(2, "memory", "are available", "smaller or fewer buffers")


def test_a_port_in_use_is_named_with_the_remedy(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run(*LATENCY, "--port", str(port)).refused(3, f"port {port} of 127.0.0.1 is in use", "--port 0")


def test_the_second_port_in_use_is_found_as_well(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("run", "ps-throughput", "--ps", "2", "-c", "tcp", "--port", str(port - 1))
    done.refused(3, f"port {port} of 127.0.0.1 is in use")


def test_a_spec_file_that_is_not_toml_is_named(run: Run, home: Path) -> None:
    (home / "broken.toml").write_text("benchmark = \n")
    run("run", "--spec", "broken.toml").refused(2, "not TOML", "line 1")


def test_a_field_that_a_spec_file_has_too_much_is_named(run: Run, home: Path) -> None:
    (home / "more.toml").write_text("chanel = 'tcp'\n")
    run("run", "--spec", "more.toml").refused(2, "'chanel'", "did you mean channel")


@pytest.mark.parametrize("table", ["payload", "load", "repeat", "placement", "pattern", "options"])
@pytest.mark.parametrize("value", ["3", "'buffers rate precision'", "[1]"])
def test_what_should_be_a_table_of_a_spec_file_is_named(run: Run, home: Path, table: str, value: str) -> None:
    (home / "flat.toml").write_text(f"{table} = {value}\n")
    flags = ("--count", "3", "-q", "1", "--repeat", "1", "--pin", "same", "--ps", "1", "-o", "call=unary")
    run("run", "--spec", "flat.toml", *flags).refused(2, f"{table} is", f"a table: [{table}]")


@pytest.mark.parametrize("output", ["file/r.json", "file/deeper/r.json", "folder", "/proc/r.json"])
def test_an_output_that_cannot_be_written_is_refused(run: Run, home: Path, output: str) -> None:
    (home / "file").write_text("in the way")
    (home / "folder").mkdir()
    run(*LATENCY, *SHORT, "--format", "none", "--output", output).refused(
        2, f"cannot write the result file {output}", "--output"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_is_read_only_is_refused(run: Run, home: Path) -> None:
    (home / "shut").mkdir(mode=0o500)
    run(*LATENCY, *SHORT, "--output", "shut/r.json").refused(
        2, "cannot write the result file shut/r.json", "may not write"
    )


def test_what_cannot_be_shown_in_a_format_is_refused_before_it_is_measured(run: Run, home: Path) -> None:
    done = run(
        "run", "ps-throughput", "--workers", "2", "-c", "tcp", "--port", "0", "--format", "osu", "--output", "r.json"
    )
    done.refused(2, "2 ranks call", "OSU", "p2p-latency")
    assert not (home / "r.json").exists()
