"""tensorwire list: what it tells is told whole."""

import pytest
from click.testing import CliRunner

from tensorwire import registry
from tensorwire.cli.catalogue import command
from tensorwire.errors import ChannelUnavailable


def test_a_remedy_with_brackets_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> tuple[str, ...]:
        raise ChannelUnavailable("pip install 'tensorwire[extra]'")

    monkeypatch.setattr(registry.channel("tcp"), "command", missing)
    told = CliRunner().invoke(command, ["channels"]).output
    assert "not here: pip install 'tensorwire[extra]'" in told


def test_units_stand_in_brackets() -> None:
    assert "Median round trip [us]" in CliRunner().invoke(command, ["metrics"]).output
