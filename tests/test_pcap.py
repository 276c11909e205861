"""Captures become profiles: every message that is certain, no other one, and what is lacking is said."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorwire.errors import FileFormatError, InstrumentUnavailable
from tensorwire.imports import pcap, profile
from tensorwire.imports.pcap.layers import ACK, PSH, RST, SYN
from tensorwire.imports.pcap.resync import boundary
from tensorwire.profile import Profile, decode, encode
from tests import captures
from tests.captures import CLIENT, SERVER, Called, Conversation, Http2

CALLS = [Called("/a.A/Get", 10, 200_000), Called("/a.A/Put", 70_000, 0), Called("/a.A/Get", 10, 3)]
RIGHT = Counter(
    [
        ("request", "/a.A/Get", 10, "/a.A/Get", 200_000),
        ("request", "/a.A/Put", 70_000, "/a.A/Put", 0),
        ("request", "/a.A/Get", 10, "/a.A/Get", 3),
    ]
)
methods = st.sampled_from(["/a.A/Get", "/a.A/Put", "/b.B/Long" + "g" * 100])
sizes = st.one_of(st.integers(0, 20), st.integers(0, 20_000))
called = st.builds(Called, methods, sizes, sizes)


def made(*packets: bytes, **how: Any) -> Profile:
    return pcap.profile(captures.stream(captures.classic(packets, **how)), "job", "the file")


def messages(profile: Profile) -> list[tuple[str, str, int]]:
    streams = [profile.streams[stream] for _, stream, _, _ in profile.messages]
    totals = [sum(profile.payloads[payload]) for _, _, payload, _ in profile.messages]
    return [(stream.kind, stream.method, size) for stream, size in zip(streams, totals, strict=True)]


def of(calls: list[Called]) -> list[tuple[str, str, int]]:
    return [
        each for call in calls for each in (("request", call.method, call.request), ("reply", call.method, call.reply))
    ]


def notes(profile: Profile, fragment: str) -> list[str]:
    return [note for note in profile.captured.notes if fragment in note]


def test_calls_have_their_methods_sizes_and_peers() -> None:
    seen = made(*captures.spoken(CALLS).packets)
    assert messages(seen) == of(CALLS)
    assert seen.exchanges == ((0, 1), (2, 3), (4, 5))
    assert seen.roles == ("endpoint 0", "endpoint 1")
    assert {(stream.sender, stream.receiver) for stream in seen.streams if stream.kind == "request"} == {(0, 1)}
    assert {(stream.sender, stream.receiver) for stream in seen.streams if stream.kind == "reply"} == {(1, 0)}
    assert (seen.captured.instrument, seen.captured.created) == ("pcap", "2023-11-14T22:13:20+00:00")
    assert seen.captured.processes == 0
    assert decode(encode(seen)) == seen
    assert b"application/grpc" not in encode(seen)


@given(calls=st.lists(called, min_size=1, max_size=4), most=st.integers(1, 3000), frame=st.integers(1, 20_000))
@settings(deadline=None, max_examples=40)
def test_it_does_not_matter_where_segments_and_frames_are_cut(calls: list[Called], most: int, frame: int) -> None:
    conversation = captures.spoken(calls, most=max(most, sum(c.request + c.reply for c in calls) // 300), frame=frame)
    assert messages(made(*conversation.packets)) == of(calls)


@given(calls=st.lists(called, min_size=1, max_size=6), draw=st.data())
@settings(deadline=None, max_examples=60)
def test_nothing_is_made_up_whatever_is_dropped(calls: list[Called], draw: Any) -> None:
    conversation = captures.spoken(calls, frame=draw.draw(st.sampled_from([100, 5000, 16384])))
    dropped = draw.draw(st.sets(st.integers(0, len(conversation.packets) - 4), min_size=1, max_size=12))  # not the end
    kept = [packet for place, packet in enumerate(conversation.packets) if place not in dropped]
    true = of(calls)
    try:
        seen = made(*kept)
    except FileFormatError:
        return
    left = dict.fromkeys(("request", "reply"), 0)
    for kind, method, size in messages(seen):
        if kind != "raw":
            known = [each for each in true if each[0] == kind][left[kind] :]
            left[kind] += 1 + next(n for n, each in enumerate(known) if each[2] == size and method in ("", each[1]))
    for request, reply in seen.exchanges:
        assert seen.messages[request][0] <= seen.messages[reply][0]
    if not any(kind == "raw" for kind, _, _ in messages(seen)) and messages(seen) != true:
        lacking = "missing", "no frame or message is certain", "not known", "not sent, or not captured", "open before"
        assert any(notes(seen, each) for each in lacking), seen.captured.notes


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_order_and_repetition_of_packets_do_not_matter(draw: Any) -> None:
    packets = captures.spoken(CALLS[1:], most=9000).packets
    for _ in range(draw.draw(st.integers(0, 10))):
        at = draw.draw(st.integers(4, len(packets) - 4))
        packets[at], packets[at + 1] = packets[at + 1], packets[at]
        packets.insert(draw.draw(st.integers(at, len(packets) - 4)), packets[at])
    assert Counter(messages(made(*packets))) == Counter(of(CALLS[1:]))


def without(conversation: Conversation, *lost: int) -> list[bytes]:
    return [packet for place, packet in enumerate(conversation.packets) if place not in lost]


def carrying(conversation: Conversation) -> list[int]:
    """The places of the packets with content."""
    return [place for place, packet in enumerate(conversation.packets) if len(packet) > 54]


def test_a_hole_in_a_messages_content_takes_nothing_away() -> None:
    conversation = captures.spoken([Called("/a.A/Get", 60_000, 1), *CALLS], most=1000, frame=16384)
    lost = carrying(conversation)[6:9]  # three segments amid the first frame of DATA
    seen = made(*without(conversation, *lost))
    assert messages(seen) == of([Called("/a.A/Get", 60_000, 1), *CALLS])
    assert notes(seen, "missing")[0].startswith("bytes missing in these holes: 3,000;")


def test_a_hole_over_the_head_of_a_frame_loses_that_message_alone() -> None:
    conversation = captures.spoken([Called("/a.A/Get", 60_000, 1), *CALLS * 3], most=1000, frame=16384)
    lost = carrying(conversation)[14:20]
    seen = made(*without(conversation, *lost))
    right = of([Called("/a.A/Get", 60_000, 1), *CALLS * 3])
    got = messages(seen)
    assert ("request", "/a.A/Get", 60_000) not in got
    assert [size for _, _, size in got] == [size for _, _, size in right[1:]]
    assert notes(seen, "certain again: 1")
    assert notes(seen, "no frame or message is certain")


def test_a_capture_that_begins_midway_finds_messages_and_the_methods_told_since() -> None:
    conversation, http2 = Conversation().open(), Http2()
    for which, data in enumerate(http2.begin()):
        conversation.send(which, data)
    for call in CALLS:
        for which, data in enumerate(http2.call(call)):
            conversation.send(which, data)
    begin = len(conversation.packets)
    later = [Called("/a.A/Get", 500, 4), Called("/c.C/New", 6, 7), Called("/a.A/Put", 8, 9), Called("/c.C/New", 10, 11)]
    for call in later:
        for which, data in enumerate(http2.call(call)):
            conversation.send(which, data)
    seen = made(*conversation.packets[begin:])
    known = [call if "New" in call.method else Called("", call.request, call.reply) for call in later]
    assert messages(seen) == of(known)
    assert len(seen.exchanges) == 4
    assert notes(seen, "open before the capture began: 1")
    assert notes(seen, "method is not known, as their headers build on some that the capture lacks: 2")


def test_a_cut_capture_has_the_sizes_that_are_certain() -> None:
    conversation = captures.spoken([Called("/a.A/Get", 100_000, 100_000)], most=1400, frame=1 << 20)
    seen = made(*conversation.packets, cut=54 + 200)
    assert messages(seen) == of([Called("/a.A/Get", 100_000, 100_000)])
    assert not notes(seen, "holes")


def test_other_bytes_are_messages_up_to_a_push() -> None:
    conversation = Conversation(most=1000).open()
    conversation.send(0, bytes(2500)).send(0, b"x").send(1, b"HTTP/1.1 200").close()
    seen = made(*conversation.packets)
    assert messages(seen) == [("raw", "", 2500), ("raw", "", 1), ("raw", "", 12)]
    assert notes(seen, "up to a push")
    assert not notes(seen, "TLS")
    assert messages(made(*conversation.packets, cut=60)) == messages(seen)


def test_the_holes_of_other_bytes_are_counted() -> None:
    conversation = Conversation(most=1000).open().send(0, b"GET " + bytes(4496)).close()
    seen = made(*without(conversation, carrying(conversation)[2]))
    assert messages(seen) == [("raw", "", 2000), ("raw", "", 1500)]
    assert notes(seen, "bytes missing in these holes: 1,000; nothing was put in their place")
    assert notes(made(*without(conversation, carrying(conversation)[-1])), "in these holes: 500;")


def test_encryption_is_told() -> None:
    conversation = Conversation().open().send(0, b"\x16\x03\x01" + bytes(500)).send(1, b"\x16\x03\x03" + bytes(90))
    seen = made(*conversation.packets)
    assert notes(seen, "encrypted (TLS): 1")


def test_http_that_is_not_grpc_is_left_out() -> None:
    conversation, http2 = Conversation().open(), Http2()
    for which, data in enumerate(http2.begin()):
        conversation.send(which, data)
    conversation.send(0, http2.headers(0, 1, [(":method", "PUT"), (":path", "/x"), ("content-type", "text/plain")]))
    conversation.send(0, http2.data(1, bytes(1000), ends=True))
    conversation.send(1, http2.headers(1, 1, [(":status", "204")], ends=True))
    with pytest.raises(FileFormatError, match="not gRPC: 1,000, left out"):
        made(*conversation.packets)


def test_padding_priority_continuation_and_resets() -> None:
    from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, RstStreamFrame

    http2 = Http2()
    begin = http2.begin()[0]
    asked = http2.headers(0, 1, [(":method", "POST"), (":path", "/a.A/Get"), ("content-type", "application/grpc")])
    block = asked[9:]
    first = HeadersFrame(1, block[:4], flags=["PADDED", "PRIORITY"], pad_length=3)
    rest = ContinuationFrame(1, block[4:], flags=["END_HEADERS"])
    content = captures.message(50, compressed=1)
    padded = DataFrame(1, content[:20], flags=["PADDED"], pad_length=7)
    sent = begin + first.serialize() + rest.serialize() + padded.serialize()
    sent += captures.ping() + captures.window() + http2.data(1, content[20:])
    sent += http2.data(1, captures.message(99)[:50]) + RstStreamFrame(1, 8).serialize()
    seen = made(*Conversation(most=7).open().send(0, sent).packets)
    assert messages(seen) == [("request", "/a.A/Get", 50)]
    assert notes(seen, "compressed messages: 1")
    assert notes(seen, "not sent, or not captured, to their end: 1")


def test_a_stream_has_several_messages_each_way() -> None:
    conversation, http2 = Conversation().open(), Http2()
    asked = http2.headers(0, 1, [(":method", "POST"), (":path", "/a.A/Chat"), ("content-type", "application/grpc")])
    answered = http2.headers(1, 1, [(":status", "200"), ("content-type", "application/grpc")])
    for which, data in enumerate(http2.begin()):
        conversation.send(which, data)
    conversation.send(0, asked + http2.data(1, captures.message(7) + captures.message(8)[:3]))
    conversation.send(1, answered + http2.data(1, captures.message(70)))
    conversation.send(0, http2.data(1, b"") + http2.data(1, captures.message(8)[3:] + captures.message(9), ends=True))
    seen = made(*conversation.packets)
    assert [size for _, _, size in messages(seen)] == [7, 70, 8, 9]
    assert seen.exchanges == ((0, 1),)


def test_endpoints_are_who_accepts_and_who_connects() -> None:
    http2 = [Http2() for _ in range(2)]
    packets = []
    for number, each in enumerate(http2):
        source = (CLIENT[0], 40_000 + number)
        sent = each.begin()[0] + each.call(CALLS[2])[0]
        packets += [
            captures.ethernet(captures.tcp(source, SERVER, 99, flags=SYN)),
            captures.ethernet(captures.tcp(source, SERVER, 100, sent, ACK | PSH)),
        ]
    back = (SERVER[0], 50_000), (CLIENT[0], 3333)
    packets.append(captures.ethernet(captures.tcp(*back, 0, flags=SYN)))
    packets.append(captures.ethernet(captures.tcp(*back, 1, b"raw", ACK | PSH)))
    seen = made(*packets)
    assert seen.roles == tuple(f"endpoint {number}" for number in range(4))
    assert [(stream.sender, stream.receiver) for stream in seen.streams] == [(0, 1), (2, 3)]


def test_ports_are_used_again() -> None:
    first = captures.spoken(CALLS[:1])
    second = Conversation((5_000_000, 7_000_000)).open()
    http2 = Http2()
    second.send(0, http2.begin()[0]).send(1, http2.begin()[1])
    for which, data in enumerate(http2.call(CALLS[1])):
        second.send(which, data)
    again = first.packets[-4:]  # what is sent again after the end opens nothing
    assert messages(made(*first.packets, *again, *second.packets)) == of(CALLS[:2])


def test_a_reset_ends_a_connection() -> None:
    conversation = captures.spoken(CALLS[:1])
    reset = captures.ethernet(captures.tcp(CLIENT, SERVER, 1, flags=RST))
    late = captures.ethernet(captures.tcp(CLIENT, SERVER, 1001, b"PRI", ACK))
    assert messages(made(*conversation.packets[:-3], reset, late)) == of(CALLS[:1])
    far = captures.ethernet(captures.tcp(CLIENT, SERVER, 1 << 31, b"stray", ACK))
    assert notes(made(*conversation.packets[:-3], far), "far from their connection")


def test_a_file_that_ends_amid_a_packet_is_read_up_to_there() -> None:
    data = captures.classic(captures.spoken(CALLS).packets)
    seen = profile(captures.stream(data[:-20]), "job")
    assert messages(seen) == of(CALLS)
    assert notes(seen, "the file ends amid a packet")


def test_what_is_left_out_is_counted() -> None:
    other = [b"\0" * 12 + b"\x08\x06" + bytes(28), captures.ethernet(captures.ip(b"abcd", b"efgh", b"x", fragment=1))]
    seen = made(*other * 3, *captures.spoken(CALLS).packets)
    assert notes(seen, "not TCP over IP: 3")
    assert notes(seen, "fragments of IP packets: 3")
    assert messages(seen) == of(CALLS)


@pytest.mark.parametrize(
    ("packets", "fragment"),
    [
        ([], "the file has no message in its 0 packets"),
        ([bytes(60)] * 7, "the file has no message in its 7 packets: .*not TCP over IP: 7"),
        (Conversation().open().close().packets, "no message in its 6 packets"),
    ],
)
def test_a_capture_without_messages_is_refused(packets: list[bytes], fragment: str) -> None:
    with pytest.raises(FileFormatError, match=fragment):
        made(*packets)


def test_no_bytes_are_taken_for_frames() -> None:
    numbers = bytes(range(256)) * 400
    for data in (bytes(100_000), b"\0\0\0\x05" * 9999, b"\0\0\0\1\0\0\0\0\1" * 9999, numbers, b"\1" + bytes(8) * 9999):
        assert boundary(data) is None


@given(st.binary(max_size=300))
def test_any_bytes_end_well(data: bytes) -> None:
    conversation = Conversation().open().send(0, captures.PREFACE + data).send(1, data)
    try:
        made(*conversation.packets)
    except FileFormatError:
        return


def test_the_small_real_capture() -> None:
    """How it was made stands beside it."""
    file = Path(__file__).parent / "data/grpc-pair.pcap.gz"
    with file.open("rb") as opened:
        seen = profile(opened, "pair")
    assert [size for kind, _, size in messages(seen) if kind == "request"] == [0, 1, 100, 3000, 2]
    assert [size for kind, _, size in messages(seen) if kind == "reply"] == [0, 2, 200, 6000, 4]
    assert {method for _, method, _ in messages(seen)} == {"/t.S/Double"}
    assert len(seen.exchanges) == 5


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("tensorwire.imports.pcap.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "hyperframe.exceptions", None)
    with pytest.raises(InstrumentUnavailable, match=r"needs hyperframe.*pip install 'tensorwire\[capture\]'"):
        made(*captures.spoken(CALLS).packets)
