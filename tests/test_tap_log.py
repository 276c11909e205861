"""The tap's log, made by hand: what is whole is read, and what is not is told."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tensorwire.errors import FileFormatError, InstrumentError
from tensorwire.instruments.assemble import assemble
from tensorwire.instruments.tap_log import HEADER_BYTES, Message, Send, decode
from tensorwire.profile import OUTSIDE, Profile, SystemCalls

START = 1_000


def record(kind: int, at: int, connection: int, body: bytes = b"") -> bytes:
    body += bytes(-len(body) % 8)
    return struct.pack("<IIQII", kind, 24 + len(body), at, connection, 7) + body


def opened(at: int, connection: int, how: int, local: int, peer: int) -> bytes:
    return record(1, at, connection, struct.pack("<IIHH16s16s", how, 2, local, peer, b"here", b"here"))


def send(at: int, connection: int, *sizes: int) -> bytes:
    return record(3, at, connection, struct.pack(f"<QII{len(sizes)}Q", sum(sizes), len(sizes), 0, *sizes))


def headers(at: int, connection: int, stream: int, flags: int, fragment: bytes) -> bytes:
    return record(5, at, connection, struct.pack("<IIII", stream, flags, len(fragment), 0) + fragment)


def message(at: int, connection: int, stream: int, *sizes: int, flags: int = 0) -> bytes:
    body = struct.pack(f"<IIQII{len(sizes)}Q", stream, flags, sum(sizes), len(sizes), 0, *sizes)
    return record(6, at, connection, body)


def mark(at: int) -> bytes:
    return record(7, at, 0, struct.pack("<Q", at))


def detected(at: int, connection: int, protocol: int, unread: int = 0) -> bytes:
    return record(8, at, connection, struct.pack("<IIQ", protocol, 0, unread))


def log(
    *records: bytes, pid: int = 1, start: int = START, dropped: int = 0, told: bytes = b"", typed: bytes = b""
) -> bytes:
    body = b"".join(records)
    used = HEADER_BYTES + len(body)
    fields = (b"TWTAP002", pid, 0, 10**18, start, 1 << 20, used, dropped, 1, 0, b"job", told, typed)
    return struct.pack("<8sIIQQQQQII256s1024s2048s", *fields).ljust(HEADER_BYTES, b"\0") + body


def profile(*logs: bytes) -> Profile:
    return assemble([decode(each) for each in logs], "job")


def path(name: str) -> bytes:
    """A header block: a literal, that is kept in the table, for :path."""
    return b"\x44" + bytes([len(name)]) + name.encode()


def test_every_record_is_read() -> None:
    whole = decode(log(opened(1, 1, 1, 5, 6), send(2, 1, 10, 20), message(3, 1, 5, 7, 8)))
    assert whole.damage == ""
    assert whole.head.program == "job"
    assert [type(each).__name__ for each in whole.records] == ["Open", "Send", "Message"]
    sent, received = whole.records[1:]
    assert isinstance(sent, Send)
    assert sent.sizes == (10, 20)
    assert isinstance(received, Message)
    assert (received.stream, received.bytes, received.sizes) == (5, 15, (7, 8))


def test_the_head_tells_what_the_process_was_told() -> None:
    head = decode(
        log(told=b'RANK=3\nTF_TASK={"type": "ps", "index": "a=b"}\n', typed=b"python\0train.py\0\0--x\0")
    ).head
    assert head.told == {"RANK": "3", "TF_TASK": '{"type": "ps", "index": "a=b"}'}
    assert head.arguments == ("python", "train.py", "", "--x")
    nothing = decode(log()).head
    assert (nothing.told, nothing.arguments) == ({}, ())


def test_a_log_cut_anywhere_gives_what_is_whole() -> None:
    data = log(send(1, 1, 10), send(2, 1, 20, 30), message(3, 1, 5, 7))
    counts = [len(decode(data[:end]).records) for end in range(HEADER_BYTES, len(data) + 1)]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3}
    assert all(decode(data[:end]).damage for end in range(HEADER_BYTES, len(data)))


@pytest.mark.parametrize("at", range(0, 56, 4))
def test_damage_is_noted_or_harmless(at: int) -> None:
    data = bytearray(log(send(1, 1, 10), send(2, 1, 20)))
    data[HEADER_BYTES + at : HEADER_BYTES + at + 4] = b"\xff" * 4
    assert len(decode(bytes(data)).records) <= 2


@pytest.mark.parametrize("data", [b"", b"TWTAP002", b"TWTAP001".ljust(5000, b"\0"), bytes(HEADER_BYTES), b"x" * 5000])
def test_anything_else_is_no_log(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        decode(data)


@given(
    some.binary(max_size=200), some.lists(some.sampled_from([send(1, 1, 9), message(2, 1, 3, 4), mark(5)]), max_size=4)
)
def test_nonsense_after_whole_records_takes_none_of_them(nonsense: bytes, whole: list[bytes]) -> None:
    read = decode(log(*whole, nonsense)).records
    assert len(read) >= len(whole)
    assert read[: len(whole)] == decode(log(*whole)).records


@given(some.lists(some.tuples(some.integers(min_value=56), some.binary(min_size=1, max_size=8)), max_size=6))
def test_no_damage_is_more_than_a_damaged_log(damages: list[tuple[int, bytes]]) -> None:
    data = bytearray(
        log(
            opened(1001, 1, 1, 50, 80),
            send(1001, 1, 9, 5),
            detected(1002, 1, 2),
            headers(1003, 1, 1, 4, path("/a.S/M")),
            message(1004, 1, 1, 3, 4),
            mark(1005),
            record(9, 1006, 1),
            record(10, 1006, 1, struct.pack("<QIIQ", 7, 1, 0, 7)),
            detected(1007, 1, 1, unread=3),
        )
    )
    for at, nonsense in damages:
        place = at % len(data)
        data[place : place + len(nonsense)] = nonsense
    with contextlib.suppress(FileFormatError, InstrumentError):
        profile(bytes(data))


def test_what_is_unread_when_a_protocol_is_given_up_is_raw() -> None:
    found = profile(
        log(
            send(1001, 1, 10, 20),
            detected(1002, 1, 2),
            message(1003, 1, 1, 9),
            send(1004, 1, 5, 6, 7),
            detected(1005, 1, 1, unread=15),
            send(1006, 1, 8),
        )
    )
    raw = [found.payloads[sizes] for _, stream, sizes, _ in found.messages if found.streams[stream].kind == "raw"]
    assert raw == [(2, 6, 7), (8,)]


def test_a_job_without_traffic_has_no_profile() -> None:
    with pytest.raises(InstrumentError, match="no stream sockets"):
        profile(log())


def test_raw_ends_are_paired_by_their_addresses() -> None:
    found = profile(
        log(opened(1001, 1, 1, 50, 80), send(1002, 1, 10, 0, 20)),
        log(
            opened(1001, 1, 2, 80, 50),
            send(1003, 1, 5),
            opened(1004, 2, 1, 51, 90),
            send(1005, 2, 1),
            pid=2,
            start=1001,
        ),
    )
    assert found.roles == ("process 0", "process 1")
    assert [(s.sender, s.receiver, s.kind) for s in found.streams] == [
        (0, 1, "raw"),
        (1, 0, "raw"),
        (1, OUTSIDE, "raw"),
    ]
    assert found.payloads == ((10, 20), (5,), (1,))
    assert found.messages == ((2, 0, 0, OUTSIDE), (3, 1, 1, OUTSIDE), (5, 2, 2, OUTSIDE))


def test_messages_are_requests_and_replies_of_named_methods() -> None:
    client = log(
        opened(1001, 1, 1, 50, 80),
        send(1001, 1, 500),
        detected(1001, 1, 2),
        headers(1002, 1, 1, 0, path("/a.S/M")[:3]),
        headers(1002, 1, 1, 4, path("/a.S/M")[3:]),
        message(1003, 1, 1, 100, 200),
        headers(1004, 1, 3, 5, b"\xbe"),
        message(1005, 1, 3, 100, 200),
    )
    server = log(opened(1001, 4, 2, 80, 50), detected(1001, 4, 3), message(1006, 4, 3, 8), pid=2, start=1001)
    found = profile(client, server)
    assert [(s.sender, s.receiver, s.kind, s.method) for s in found.streams] == [
        (0, 1, "request", "/a.S/M"),
        (1, 0, "reply", "/a.S/M"),
    ]
    assert [(at, found.payloads[sizes]) for at, _, sizes, _ in found.messages] == [
        (3, (100, 200)),
        (5, (100, 200)),
        (6, (8,)),
    ]


def test_unreadable_headers_leave_methods_unnamed_and_are_noted() -> None:
    found = profile(log(detected(1001, 1, 2), headers(1002, 1, 1, 4, b"\xff\xff\xff"), message(1003, 1, 1, 9)))
    assert found.streams[0].method == ""
    assert any("no names" in note for note in found.captured.notes)


def test_steps_lie_between_marks() -> None:
    found = profile(
        log(send(1001, 1, 1), mark(1010), send(1011, 1, 2), mark(1020), send(1021, 1, 3), mark(1030), send(1031, 1, 4))
    )
    assert found.steps == ((10, 20), (20, 30))
    assert [step for *_, step in found.messages] == [OUTSIDE, 0, 1, OUTSIDE]


def test_what_was_left_out_is_noted() -> None:
    found = profile(
        log(detected(1001, 1, 2), message(1002, 1, 1, 9, flags=3), detected(1003, 1, 1), send(1004, 1, 5), dropped=2)[
            :-4
        ]
    )
    notes = " ".join(found.captured.notes)
    for word in ("2 records", "compressed", "more slices", "stopped", "damaged"):
        assert word in notes


def call(at: int, port: int, streams: tuple[int, ...], replies: tuple[int, ...]) -> tuple[bytes, bytes]:
    """A client's log and a server's, of one connection: a message in each of these streams, in this order."""
    client = log(
        opened(1001, 1, 1, port, 80),
        detected(1001, 1, 2),
        *(message(at + place, 1, stream, 100 + place) for place, stream in enumerate(streams)),
        pid=port,
    )
    server = log(
        opened(1001, 4, 2, 80, port),
        detected(1001, 4, 3),
        *(message(at + 50 + place, 4, stream, 200 + place) for place, stream in enumerate(replies)),
        pid=port + 1,
        start=1001,
    )
    return client, server


def linked(found: Profile) -> set[tuple[int, int]]:
    def size(place: int) -> int:
        return sum(found.payloads[found.messages[place][2]])

    return {(size(request), size(reply)) for request, reply in found.exchanges}


@pytest.mark.parametrize(
    ("streams", "replies", "exchanges"),
    [
        ((1, 3, 5), (5, 1, 3), {(100, 201), (101, 202), (102, 200)}),
        ((1, 3, 1), (1, 1, 3), {(100, 200), (102, 201), (101, 202)}),
        ((1, 1, 1), (1,), {(100, 200)}),
        ((1,), (3, 1, 1), {(100, 201)}),
        ((1,), (), set()),
    ],
    ids=str,
)
def test_replies_answer_the_requests_of_their_stream_in_turn(
    streams: tuple[int, ...], replies: tuple[int, ...], exchanges: set[tuple[int, int]]
) -> None:
    assert linked(profile(*call(1100, 50, streams, replies))) == exchanges


def test_streams_of_different_connections_are_different() -> None:
    found = profile(*call(1100, 50, (1,), (1,)), *call(1200, 60, (1,), (1,)))
    assert len(found.exchanges) == 2
    assert [found.messages[request][0] for request, _ in found.exchanges] == [100, 200]
    assert [found.messages[reply][0] for _, reply in found.exchanges] == [150, 250]


def test_processes_that_carry_nothing_have_no_role() -> None:
    idle = log(opened(1001, 1, 1, 70, 90), pid=9, start=1002)
    found = profile(idle, *call(1100, 50, (1,), (1,)))
    assert found.roles == ("process 0", "process 1")
    assert found.captured.processes == 2


def test_system_calls_are_counted_by_their_iovecs() -> None:
    found = profile(
        log(opened(1001, 1, 1, 50, 80), send(1002, 1, 10, 0, 20), send(1003, 1, 10)),
        log(opened(1001, 1, 2, 80, 50), send(1004, 1, 5), pid=2, start=1001),
    )
    assert found.system_calls == (
        SystemCalls(
            sender=0, receiver=1, calls=2, bytes=40, iovecs=((0, 1), (10, 2), (20, 1)), per_call=((1, 1), (3, 1))
        ),
        SystemCalls(sender=1, receiver=0, calls=1, bytes=5, iovecs=((5, 1),), per_call=((1, 1),)),
    )


def test_system_calls_are_those_of_the_steady_steps() -> None:
    found = profile(log(*(each for at in (1010, 1020, 1030) for each in (mark(at), send(at + 1, 1, at)))))
    assert (found.steps, found.warmup) == (((10, 20), (20, 30)), 1)
    assert [each.iovecs for each in found.system_calls] == [((1020, 1),)]
