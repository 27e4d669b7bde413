"""A screen's numbers, of arrays small enough to count by hand; and that the laptop asks for the extra."""

from __future__ import annotations

import importlib
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import attnscope
from attnscope.cli.verbs.screens import show_screen
from attnscope.errors import MissingPackageError
from attnscope.figures.screens.map import screen_map
from attnscope.figures.screens.tokens import departure_by_tokens
from attnscope.report.screen import write_screen_report
from attnscope.screens.board import least, ordered, rows
from attnscope.screens.results import ScreenResults
from attnscope.screens.sentences import screen_sentences
from attnscope_storage.wire import Condition, PolicyDescription
from canvas import faults, in_a_cell

POLICY = PolicyDescription(
    family="ad-native",
    layers=2,
    heads=2,
    width=8,
    context_length=5,
    actions=2,
    causal=True,
    positions="learned-absolute",
    query_slot="last",
    tokens_per_transition=1,
    observation="cell",
    parameters=100,
)


def arm(index, strategy, budget, **changes):
    """Return an arm."""
    common = {"parameters": {}, "text": strategy, "positions": "reindex", "interval": 1, "memory": "stateless"}
    more = {"path": "recompute", "control": False, "oracle": False}
    return Condition(index=index, strategy=strategy, budget=budget, **(common | more | changes))


ARMS = (
    arm(0, "recency", 2),
    arm(1, "recency", 2, positions="keep"),
    arm(2, "tova", 2, interval=10),
    arm(3, "tova", 2, oracle=True),
)
DEPARTURE = np.array(
    [
        [[0.0, 0.2, 0.4], [0.0, 0.1, 0.1], [0.0, 0.3, 0.3], [0.0, 0.1, 0.0]],
        [[0.0, 0.4, 0.6], [0.0, 0.1, 0.3], [0.0, 0.3, 0.3], [0.0, 0.1, 0.2]],
    ]
)


@pytest.fixture
def results():
    """Return a screen of two rollouts of two tasks, three decisions each, the last of the first not live."""
    flat = {"signed": DEPARTURE, "kl": DEPARTURE**2, "flip": DEPARTURE > 0.35, "retained": 1 - DEPARTURE}
    arrays = {f"screen/{name}": values.astype(np.float32) for name, values in flat.items()}
    arrays |= {
        "screen/departure": DEPARTURE.astype(np.float32),
        "screen/kept": np.broadcast_to([0, 2, 2], (2, 4, 3)),
        "decision/held": np.array([[0, 3, 4], [0, 3, 4]]),
        "decision/live": np.array([[1, 1, 0], [1, 1, 1]]),
        "decision/follows": np.array([[1, 0, 0], [1, 1, 0]]),
        "decision/found": np.array([[0, 0, 1], [0, 1, 1]]),
        "decision/episode": np.array([[0, 1, 2], [0, 1, 2]]),
        "rollout/episodes": np.array([3, 3]),
        "rollout/live_each": np.array([10.0, 20.0]),
        "rollout/earned": np.array([1, 0]),
        "cost/seconds": np.ones((2, 3)),
    }
    return ScreenResults(ARMS, POLICY, np.array([4, 9]), arrays, ("left out: x",))


def test_departures_are_means_over_live_decisions(results):
    """Rollouts count alike; a decision that is not live counts in TV-all alone."""
    assert results.tv_live.value == pytest.approx([(0.1 + 1 / 3) / 2, (0.05 + 0.4 / 3) / 2, 0.175, 0.075])
    assert results.tv_all.value[0] == pytest.approx((0.2 + 1 / 3) / 2)
    assert results.signed.value[0] == pytest.approx((0 + 0.2) / 2)
    assert (results.tv_live.low <= results.tv_live.value).all()
    assert (results.tv_live.high >= results.tv_live.value).all()


def test_departures_of_an_episode(results):
    """Live decisions of an episode × mean departure; the probability of any is at most their number."""
    assert results.per_episode.value[0] == pytest.approx((10 * 0.1 + 20 / 3) / 2)
    first = 1 - 0.8 ** (10 / 2)
    second = 1 - math.exp(20 * (math.log(0.6) + math.log(0.4)) / 3)
    assert results.changed.value[0] == pytest.approx((first + second) / 2, rel=1e-5)
    assert (results.changed.value <= np.minimum(1, results.per_episode.value) + 1e-9).all()


def test_phases_tell_departures_apart(results):
    """Before the first reward, thirds of episodes, growing and full windows; live decisions only."""
    assert results.by_phase("before the first reward").value[0] == pytest.approx((0.1 + 0.0) / 2)
    assert results.by_phase("first third").value[0] == 0
    assert results.by_phase("last third").value[0] == pytest.approx(0.6)
    assert results.by_phase("full window").value[0] == pytest.approx(0.6)
    assert results.by_phase("growing window").value[0] == pytest.approx((0.1 + 0.2) / 2)


def test_time_is_over_the_fastest_exact_way(results):
    """A full window is recomputed, so fewer tokens take less; a growing one has a cache, which takes still less."""
    full, growing = results.time("full window"), results.time("growing window")
    assert full[0] < 1
    assert growing[0] > 1
    assert full[3] > 1, "an oracle computes the whole window beside its own context"
    assert full[0] < full[2] < full[3]
    assert results.tokens[0] == pytest.approx(4 / 3)
    assert results.share[0] == pytest.approx(4 / 7)


def test_what_few_rollouts_cannot_say_is_said(results):
    """Too few tasks and rollouts, too few that earn, and what was left out."""
    assert not results.reliable
    assert not results.orders
    sentences = " ".join(screen_sentences(results))
    assert "2 tasks" in sentences
    assert "50% of the rollouts earn" in sentences
    assert "nor the ways to stand" in sentences
    assert "left out: x" in sentences
    assert "safe" not in sentences


def test_enough_rollouts_are_reliable(results):
    """Eight tasks of four rollouts each."""
    arrays = {name: np.concatenate([values] * 16) for name, values in results.arrays.items()}
    assert ScreenResults(ARMS, POLICY, np.repeat(np.arange(8), 4), arrays).reliable
    assert not ScreenResults(ARMS, POLICY, np.repeat(np.arange(4), 8), arrays).reliable


def test_the_table_has_oracles_apart(results, tmp_path):
    """Deployable rows by budget and departures; of several positions the least; every arm is in the file."""
    table = rows(results)
    deployable = ordered(table, oracles=False)
    assert [(row.strategy, row.positions) for row in deployable] == [
        ("recency", "keep"),
        ("tova", "reindex"),
        ("recency", "reindex"),
    ]
    assert [row.name for row in least(deployable)] == ["recency", "tova every 10"]
    assert [row.name for row in ordered(table, oracles=True)] == ["tova"]
    files = write_screen_report(results, tmp_path / "out")
    assert (tmp_path / "out" / "screen.csv").read_text().count("\n") == 5
    assert "changes the policy" in (tmp_path / "out" / "screen.txt").read_text()
    assert [path.name for path in files[2:]] == ["screen_map.png", "screen_departure_by_tokens.png"]
    assert all(path.stat().st_size > 1000 for path in files[2:])
    with pytest.raises(FileExistsError, match=r"screen\.csv"):
        write_screen_report(results, tmp_path / "out")


def test_screening_here_needs_the_extra(monkeypatch):
    """If the service is not installed, the client says what to install."""

    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("attnscope.screens.here.import_module", absent)
    with pytest.raises(MissingPackageError, match=r"attnscope\[server\]"):
        attnscope.screen(None, None)
    assert importlib.import_module("attnscope.screens.here").FUNCTION[0] == "attnscope_server.screening"


def test_the_votes_are_the_numbers_of_the_table(results):
    """A screen's table and its votes have the same departures, signed losses and retained attention."""
    assert results.votes.departure == pytest.approx(results.tv_live.value)
    assert results.votes.signed == pytest.approx(results.signed.value)
    assert results.votes.retained == pytest.approx(-results.retained.value)


def test_figures_of_screens_are_whole(results):
    """No text leaves the canvas, and no two ticks are equal or lie over each other."""
    figures = {"map": screen_map(results), "tokens": departure_by_tokens(results)}
    assert {name: found for name, figure in figures.items() if (found := faults(figure))} == {}
    assert all(in_a_cell(figure).startswith(b"\x89PNG") for figure in figures.values())


def test_the_table_as_json_is_valid_json(results, capsys):
    """A departure that was not measured is null; NaN would stop any strict reader."""
    departs = results.arrays["screen/departure"].copy()
    departs[:] = np.nan
    unmeasured = replace(results, arrays={**results.arrays, "screen/departure": departs})
    show_screen(SimpleNamespace(results=lambda: unmeasured), as_json=True)
    text = capsys.readouterr().out
    assert "null" in text
    assert "NaN" not in text
