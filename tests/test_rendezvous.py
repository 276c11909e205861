"""The meeting of the ranks, with real sockets in one thread: `pump` is all that ever happens."""

import contextlib
import json
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorwire import rendezvous
from tensorwire.errors import LaunchError
from tensorwire.rendezvous import Event, HandedIn, Joined, Left, Meeting, proof


class Guest:
    """The other end, as a rank would be it."""

    def __init__(self, meeting: Meeting) -> None:
        kind, _, place = meeting.address.rpartition(":")
        if kind == "unix":
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(20)
            self._socket.connect(place)
        else:
            self._socket = socket.create_connection((kind, int(place)), timeout=20)
        self._stream = self._socket.makefile("rb")
        assert meeting.pump(20) == []
        self.challenge = self.answer().removeprefix(b"C")

    def say(self, raw: bytes) -> "Guest":
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(raw)
        return self

    def frame(self, body: bytes) -> "Guest":
        return self.say(struct.pack("<I", len(body)) + body)

    def hello(self, rank: int, token: str) -> "Guest":
        return self.claim(rank, proof(token, self.challenge, rank))

    def claim(self, rank: object, proven: object) -> "Guest":
        return self.frame(json.dumps({"rank": rank, "proof": proven}).encode())

    def heard(self) -> list[bytes]:
        """The blobs of one round of gathering."""
        body = self.answer()
        assert body[:1] == b"G"
        blobs, rest = [], body[1:]
        while rest:
            (length,) = struct.unpack_from("<I", rest)
            blobs.append(rest[4 : 4 + length])
            rest = rest[4 + length :]
        return blobs

    def answer(self) -> bytes:
        (length,) = struct.unpack("<I", self._stream.read(4))
        return self._stream.read(length)

    def was_let_in(self) -> bool:
        return self.answer() == b"W"

    def was_turned_away(self) -> bool:
        """The connection ends, with a reason or without."""
        try:
            return self._stream.read()[4:5] in (b"", b"X")
        except ConnectionError:
            return True

    def leave(self) -> None:
        self._stream.close()
        self._socket.close()


@pytest.fixture(params=["127.0.0.1", "unix"])
def meeting(request: pytest.FixtureRequest) -> Iterator[Meeting]:
    with tempfile.TemporaryDirectory() as directory:
        where = f"unix:{directory}/meeting.sock" if request.param == "unix" else request.param
        with Meeting(2, where) as held:
            yield held


@pytest.fixture
def guest(meeting: Meeting) -> Iterator[type]:
    """Guests that leave in the end."""
    guests: list[Guest] = []

    class Invited(Guest):
        def __init__(self) -> None:
            super().__init__(meeting)
            guests.append(self)

    yield Invited
    for each in guests:
        each.leave()


def until(meeting: Meeting, last: Event) -> list[Event]:
    """All that happens, up to and with `last`."""
    seen: list[Event] = []
    for _ in range(20):
        seen += meeting.pump(1)
        if last in seen:
            return seen
    raise AssertionError(f"{last} did not come, but {seen}")


def quiet(meeting: Meeting) -> list[Event]:
    """What happens while somebody comes, says something, and is turned away."""
    return [event for _ in range(4) for event in meeting.pump(0.02)]


def both(meeting: Meeting, guest: type[Guest]) -> tuple[Guest, Guest]:
    ranks = guest(), guest()
    for rank, each in enumerate(ranks):
        each.hello(rank, meeting.token)
    seen: list[Event] = []
    while len(seen) < 2:
        seen += meeting.pump(20)
    assert sorted(each.rank for each in seen) == [0, 1]
    assert all(each.was_let_in() for each in ranks)
    return ranks


def test_ranks_join_with_the_token(meeting: Meeting, guest: type[Guest]) -> None:
    assert meeting.absent == [0, 1]
    guest().hello(1, meeting.token)
    assert until(meeting, Joined(1)) == [Joined(1)]
    assert meeting.absent == [0]


def test_a_round_gathers_the_blobs_of_all_in_the_order_of_the_ranks(meeting: Meeting, guest: type[Guest]) -> None:
    first, second = both(meeting, guest)
    second.frame(b"Gtwo")
    quiet(meeting)
    assert meeting.late == [0]
    first.frame(b"G")
    while meeting.late:
        meeting.pump(20)
    assert first.heard() == second.heard() == [b"", b"two"]


def test_rounds_follow_each_other(meeting: Meeting, guest: type[Guest]) -> None:
    ranks = both(meeting, guest)
    for number in range(3):
        for rank, each in enumerate(ranks):
            each.frame(b"G%d.%d" % (number, rank))
        quiet(meeting)
        for each in ranks:
            assert each.heard() == [b"%d.0" % number, b"%d.1" % number]


def test_large_blobs_come_whole(meeting: Meeting, guest: type[Guest]) -> None:
    first, _ = both(meeting, guest)
    blob = bytes(range(256)) * 500
    first.frame(b"H" + blob)
    assert until(meeting, HandedIn(0, blob)) == [HandedIn(0, blob)]


def test_frames_may_come_in_pieces_and_together(meeting: Meeting, guest: type[Guest]) -> None:
    first, _ = both(meeting, guest)
    frames = b"".join(struct.pack("<I", len(body)) + body for body in (b"Hone", b"Htwo", b"Hthree"))
    for byte in frames[:10]:
        first.say(bytes([byte]))
        meeting.pump(0.02)
    first.say(frames[10:])
    assert until(meeting, HandedIn(0, b"three"))[-2:] == [HandedIn(0, b"two"), HandedIn(0, b"three")]


def test_what_was_handed_in_before_leaving_is_heard(meeting: Meeting, guest: type[Guest]) -> None:
    first, _ = both(meeting, guest)
    first.frame(b"Hlast words").leave()
    assert until(meeting, Left(0)) == [HandedIn(0, b"last words"), Left(0)]
    assert meeting.absent == [], "it was here"


def test_the_end_is_told_with_its_reason(meeting: Meeting, guest: type[Guest]) -> None:
    first, second = both(meeting, guest)
    meeting.end("enough")
    assert first.answer() == second.answer() == b"Xenough"


STRANGERS = {
    "garbage": lambda guest, meeting: guest.say(b"GET / HTTP/1.1\r\n\r\n"),
    "an empty frame": lambda guest, meeting: guest.say(b"\0\0\0\0"),
    "a hello without end": lambda guest, meeting: guest.say(struct.pack("<I", 1 << 31)),
    "no JSON": lambda guest, meeting: guest.frame(b"let me in"),
    "no text": lambda guest, meeting: guest.frame(b"\xff\xfe\x00"),
    "another JSON": lambda guest, meeting: guest.frame(b"[1, 2]"),
    "a wrong token": lambda guest, meeting: guest.hello(0, "0" * 32),
    "an empty token": lambda guest, meeting: guest.hello(0, ""),
    "the token itself": lambda guest, meeting: guest.claim(0, meeting.token),
    "the proof of another challenge": lambda guest, meeting: guest.claim(0, proof(meeting.token, b"another", 0)),
    "the proof of another rank": lambda guest, meeting: guest.claim(0, proof(meeting.token, guest.challenge, 1)),
    "a proof that is not ASCII": lambda guest, meeting: guest.claim(0, "é" * 32),
    "a proof that cannot be encoded": lambda guest, meeting: guest.frame(b'{"rank": 0, "proof": "\\ud800"}'),
    "a proof that is a number": lambda guest, meeting: guest.claim(0, 7),
    "a rank that is not expected": lambda guest, meeting: guest.hello(2, meeting.token),
    "a negative rank": lambda guest, meeting: guest.hello(-1, meeting.token),
    "no rank": lambda guest, meeting: guest.frame(b'{"proof": "00"}'),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_is_turned_away_and_the_meeting_goes_on(meeting: Meeting, guest: type[Guest], kind: str) -> None:
    stranger = guest()
    STRANGERS[kind](stranger, meeting)
    assert quiet(meeting) == []
    assert stranger.was_turned_away()
    first, second = both(meeting, guest)
    first.frame(b"Ga")
    second.frame(b"Gb")
    quiet(meeting)
    assert first.heard() == second.heard() == [b"a", b"b"]


def test_a_stranger_that_leaves_without_a_word_is_no_rank_that_left(meeting: Meeting, guest: type[Guest]) -> None:
    guest().leave()
    assert quiet(meeting) == []
    both(meeting, guest)


def test_a_stranger_that_says_nothing_is_shown_out_in_time(
    meeting: Meeting, guest: type[Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = guest()
    quiet(meeting)
    monkeypatch.setattr(rendezvous, "_HELLO_SECONDS", 0.0)
    assert quiet(meeting) == []
    assert stranger.was_turned_away()


def test_a_second_rank_of_the_same_number_is_turned_away(meeting: Meeting, guest: type[Guest]) -> None:
    first, second = both(meeting, guest)
    double = guest().hello(1, meeting.token)
    assert quiet(meeting) == []
    assert double.was_turned_away()
    first.frame(b"Ga")
    second.frame(b"Gb")
    quiet(meeting)
    assert second.heard() == [b"a", b"b"]


def test_a_rank_that_left_cannot_come_back(meeting: Meeting, guest: type[Guest]) -> None:
    first, _ = both(meeting, guest)
    first.leave()
    until(meeting, Left(0))
    guest().hello(0, meeting.token)
    assert quiet(meeting) == []


@pytest.mark.parametrize("body", [b"Z", b"Gagain", b""])
def test_a_rank_that_breaks_the_rules_has_left(meeting: Meeting, guest: type[Guest], body: bytes) -> None:
    first, _ = both(meeting, guest)
    first.frame(b"Gonce").frame(body)
    assert until(meeting, Left(0)) == [Left(0)]


def test_a_meeting_of_one_needs_no_others() -> None:
    with Meeting(1) as meeting:
        alone = Guest(meeting).hello(0, meeting.token).frame(b"Gme")
        quiet(meeting)
        assert alone.was_let_in()
        assert alone.heard() == [b"me"]
        alone.leave()


def test_who_overheard_a_rank_cannot_say_the_same_again(meeting: Meeting, guest: type[Guest]) -> None:
    rank, eavesdropper = guest(), guest()
    assert rank.challenge != eavesdropper.challenge
    eavesdropper.claim(0, proof(meeting.token, rank.challenge, 0))
    assert quiet(meeting) == []
    assert eavesdropper.was_turned_away()
    rank.hello(0, meeting.token)
    assert until(meeting, Joined(0)) == [Joined(0)]


def test_of_many_strangers_those_go_that_came_first(
    meeting: Meeting, guest: type[Guest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendezvous, "_MOST_STRANGERS", 1)
    strangers = [guest() for _ in range(5)]
    assert [each.was_turned_away() for each in strangers[:2]] == [True, True]
    both_here = strangers[3:]
    for rank, each in enumerate(both_here):
        each.hello(rank, meeting.token)
    assert until(meeting, Joined(1)) == [Joined(0), Joined(1)]


def test_where_the_driver_cannot_listen_it_says_so(tmp_path: Path) -> None:
    long = f"unix:{tmp_path}/{'x' * 108}"
    with pytest.raises(LaunchError, match=r"cannot listen at unix:.*; set TMPDIR to a directory with a shorter name"):
        Meeting(1, long)
    with pytest.raises(LaunchError, match=r"cannot listen at 192\.0\.2\.1"):
        Meeting(1, "192.0.2.1")


def test_tokens_are_not_given_twice() -> None:
    with Meeting(1) as one, Meeting(1) as two:
        assert one.token != two.token
        assert len(one.token) >= 32
