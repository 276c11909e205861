"""What failures say, and the exit codes they carry."""

import pickle
from collections.abc import Iterator

import msgspec
import pytest

from tensorwire import errors
from tensorwire.errors import RankFailed, SpecError, TensorwireError

EXIT_CODES = {
    "TensorwireError": 1,
    "SpecError": 2,
    "FileFormatError": 2,
    "ChannelError": 1,
    "ChannelUnavailable": 3,
    "AddressInUse": 3,
    "PeerLost": 1,
    "TransferTimeout": 1,
    "WrongBytes": 1,
    "WrongPath": 1,
    "LaunchError": 1,
    "LauncherUnavailable": 3,
    "RankFailed": 1,
    "TaskFailed": 1,
    "WorkloadUnavailable": 3,
    "InstrumentError": 1,
    "ExportUnavailable": 3,
    "ReportUnavailable": 3,
    "InstrumentUnavailable": 3,
}


def _tree(root: type[TensorwireError]) -> Iterator[type[TensorwireError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def test_every_error_has_the_exit_code_of_the_design() -> None:
    ours = (error for error in _tree(TensorwireError) if error.__module__ == errors.__name__)
    assert {error.__name__: error.exit_code for error in ours} == EXIT_CODES


def test_spec_error_names_the_field_the_value_and_what_is_allowed() -> None:
    error = SpecError("count", 0, "1 to 10 buffers")
    assert str(error) == "count is 0, but must be 1 to 10 buffers"
    assert (error.field, error.value, error.allowed) == ("count", 0, "1 to 10 buffers")


def test_an_unknown_name_is_answered_with_the_closest_and_the_known_ones() -> None:
    error = SpecError.unknown("channel", "gprc", {"tcp", "null", "grpc"})
    assert str(error) == "unknown channel 'gprc'; did you mean grpc? known: grpc, null, tcp"
    assert (error.field, error.value, error.allowed) == ("channel", "gprc", "one of grpc, null, tcp")


def test_an_unknown_name_like_no_known_one_is_answered_without_a_guess() -> None:
    assert str(SpecError.unknown("channel", "zzz", ["tcp"])) == "unknown channel 'zzz'; known: tcp"
    assert str(SpecError.unknown("channel", "zzz", [])) == "unknown channel 'zzz'; known: none"


class _Picky(msgspec.Struct, frozen=True, kw_only=True):
    count: int

    def __post_init__(self) -> None:
        raise SpecError("count", self.count, "something else")


def test_spec_error_passes_through_msgspec_unwrapped() -> None:
    with pytest.raises(SpecError, match="count is 3, but must be something else"):
        msgspec.convert({"count": 3}, _Picky)
    with pytest.raises(SpecError, match="count is 3, but must be something else"):
        msgspec.json.decode(b'{"count": 3}', type=_Picky)


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (3, "exited with code 3"),
        (-9, "was killed by SIGKILL"),
        (-15, "was killed by SIGTERM"),
        (-200, "was killed by signal 200"),
    ],
)
def test_a_failed_rank_says_who_it_was_and_how_it_ended(status: int, ending: str) -> None:
    error = RankFailed(2, "worker", "node7", status, "bind: address in use\n")
    assert str(error) == f"rank 2 (worker on node7) {ending}; its last lines were:\nbind: address in use"


def test_a_silent_rank_is_said_to_be_silent() -> None:
    assert str(RankFailed(0, "ps", "localhost", -9, "\n")) == (
        "rank 0 (ps on localhost) was killed by SIGKILL and said nothing"
    )


@pytest.mark.parametrize(
    "error",
    [
        SpecError("count", 0, "1 or more"),
        SpecError.unknown("channel", "gprc", ["grpc"]),
        RankFailed(0, "ps", "localhost", -9, "oops"),
    ],
)
def test_errors_survive_a_trip_between_processes(error: TensorwireError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
