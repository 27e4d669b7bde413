"""Strategy packages: the example, installed as an operator would, joins; a broken one is named, not passed over."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from attnscope_model.strategies import (
    STRATEGIES,
    ContextView,
    ParameterError,
    StrategyPackageError,
    UnknownStrategyError,
    describe_all,
    strategies,
    strategy,
)
from attnscope_model.strategies.base import Selection
from attnscope_model.strategies.installed import installed_once

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "attnscope-strategy-example"


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    """Look for installed packages in this test, and again after it."""
    installed_once.cache_clear()
    yield
    installed_once.cache_clear()


@pytest.fixture
def installed(tmp_path, monkeypatch) -> None:
    """Install the example where this interpreter finds it, with nothing fetched from anywhere."""
    source, target = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(EXAMPLE, source)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True)
    monkeypatch.syspath_prepend(target)
    importlib.invalidate_caches()


@pytest.mark.usefixtures("installed")
def test_an_installed_strategy_is_like_any_other():
    """It is listed with its package, made by name, held to its range, and keeps the same on NumPy and torch."""
    assert list(strategies()) == [*STRATEGIES, "first-visits"]
    told = describe_all()[-1]
    assert (told.name, told.package, told.needs) == ("first-visits", "attnscope-strategy-example", ("state",))
    assert (told.parameters[0].minimum, told.parameters[0].maximum) == (0.0, 1.0)
    # States 0 1 0 2 1 0: first seen at 0, 1 and 3; two of the budget of four go to the newest of them.
    held, state = np.ones(6, bool), np.array([0, 1, 0, 2, 1, 0])
    view = ContextView(transition=np.arange(6), held=held, state=state)
    rule = strategy("anchored", starts=False, inner={"name": "first-visits"})
    assert np.nonzero(rule.plan(view, 4).used)[0].tolist() == [1, 3, 4, 5]
    same = ContextView(torch.arange(6), torch.from_numpy(held), state=torch.from_numpy(state))
    assert torch.nonzero(rule.plan(same, 4).used)[:, 0].tolist() == [1, 3, 4, 5]
    with pytest.raises(ParameterError, match="share of first-visits is a number of at least 0 and at most 1, got 2"):
        strategy("first-visits", share=2)


def test_without_the_package_the_name_is_unknown():
    """A strategy is known by installing it and by nothing else."""
    with pytest.raises(UnknownStrategyError, match="there is no strategy 'first-visits'"):
        strategy("first-visits")


class Point:
    """An entry point of a package."""

    name, value, dist = "broken", "broken:Rule", None

    def __init__(self, load):
        self.load = load


def refuse():
    """Fail as an import does."""
    raise ImportError("no module named nonsense")


class Abstract(Selection):
    """A strategy without its method."""

    name = "abstract"


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (refuse, r"broken \(broken:Rule\) does not load: no module named nonsense"),
        (lambda: dict, "is no subclass of Strategy"),
        (lambda: Abstract, "cannot be made of its defaults"),
        (lambda: STRATEGIES["tova"], "is called tova, which is taken"),
    ],
)
def test_a_broken_package_is_named(monkeypatch, load, reason):
    """An installed package that does not work is an error with its name, and built-in strategies go on."""
    monkeypatch.setattr("attnscope_model.strategies.installed.entry_points", lambda **_: [Point(load)])
    with pytest.raises(StrategyPackageError, match=reason):
        strategies()
    assert strategy("tova").name == "tova"
