"""The list of strategies over a real socket: route, client and command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from attnscope.cli.main import app
from attnscope.errors import NotFoundError
from attnscope_model.strategies import STRATEGIES, describe_all, strategy
from attnscope_storage.wire import StrategyInfo


def told(*words: str) -> str:
    """Return what a command prints."""
    result = CliRunner().invoke(app, ["strategies", *words], terminal_width=200)
    assert result.exit_code == 0, result.output
    return result.output


def test_strategies_are_listed_as_they_are(client):
    """The client gets what the strategies say of themselves; defaults that it sends back make them."""
    listed = client.strategies()
    assert listed == describe_all()
    assert [info.name for info in listed] == list(STRATEGIES)
    for info in listed:
        assert strategy(info.name, **{each.name: each.default for each in info.parameters}) == STRATEGIES[info.name]()
    by_name = {info.name: info for info in listed}
    assert by_name["leave-one-out"].oracle
    assert by_name["tova"].attention
    assert [fit.name for fit in by_name["merging"].positions if not fit.fits] == ["mask"]


def test_a_checkpoints_policy_narrows_what_fits(client):
    """Asked about a checkpoint, paths and observations are those of its policy; an unknown one is said to be."""
    listed = {info.name: info for info in client.strategies("AD-darkroom")}
    assert [(fit.name, fit.fits) for fit in listed["recency"].paths] == [("recompute", True), ("cached", False)]
    assert "rotary" in listed["recency"].paths[1].why
    assert [fit.name for fit in listed["relevant"].observations] == ["cell"]
    with pytest.raises(NotFoundError, match="nobody"):
        client.strategies("nobody")


def test_the_verb_lists_and_explains(service, monkeypatch):
    """All in a table, one in full with ranges, and both as the JSON that the route gives."""
    monkeypatch.setenv("ATTNSCOPE_URL", service.url)
    monkeypatch.setenv("ATTNSCOPE_API_KEY", service.key)
    table = told()
    assert all(name in table for name in STRATEGIES)
    one = told("snapkv")
    assert "kernel: odd integer from 1 to 255, default 5." in one
    assert "attention costs a forward over the whole stored context" in one
    assert "an oracle" in told("leave-one-out")
    (as_json,) = json.loads(told("sinks", "--json"))
    assert StrategyInfo(**as_json) == describe_all()[2]
    result = CliRunner().invoke(app, ["strategies", "nothing"])
    assert "there is no strategy 'nothing'" in str(result.exception)
