"""Command lines of `submit` and `trial` mean what they meant when their options were written by hand."""

from __future__ import annotations

import shlex

import pytest
from typer.testing import CliRunner

import attnscope
from attnscope.cli.main import app
from attnscope_storage.wire import CaptureSpec, TrialSpec


class Sent(Exception):  # noqa: N818 - it ends the command, and is no error
    """A specification arrived."""


class Recorder:
    """A service that takes one specification and does nothing with it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def estimate(self, spec):
        """Take the specification of a dry run."""
        raise Sent(spec)

    def checkpoints(self):
        """List checkpoints, which no line here asks for."""
        raise AssertionError

    def submit(self, spec, device_kind):
        """Take the specification of a job for any device."""
        assert device_kind is None
        raise Sent(spec)


@pytest.fixture
def sent(monkeypatch):
    """Return a function that gives the specification that a command line sends."""
    monkeypatch.setattr(attnscope, "connect", Recorder)

    def run(line: str):
        result = CliRunner().invoke(app, shlex.split(line))
        assert isinstance(result.exception, Sent), (result.output, result.exception)
        return result.exception.args[0]

    return run


CAPTURES = {
    "submit --checkpoint AD-darkroom": {},
    "submit --checkpoint AD-darkroom --dry-run --json": {},
    "submit --checkpoint AD-darkroom --split test --tasks 2 --episodes 50 --maps 5 --wait": {
        "tasks": {"split": "test", "indices": [2]}, "episodes": 50, "maps": {"count": 5},
    },
    "submit --checkpoint AD-darkroom --goal 5,4 --goal 1,2,7,8 --seeds 0-2 --steps 100 --replicas 2 --label mine": {
        "tasks": {"goals": [(5, 4), (1, 2, 7, 8)]}, "seeds": [0, 1, 2], "steps": 100, "replicas": 2, "label": "mine",
    },
    "submit --checkpoint a --env attnscope/Darkroom-v0 --env-kwarg size=9 --env-kwarg loud=false --greedy": {
        "environment": {"id": "attnscope/Darkroom-v0", "kwargs": {"size": 9, "loud": False}},
        "sampling": {"mode": "greedy"},
    },
    "submit --checkpoint a --env-kwarg size=9 --sample --temperature 0.5 --no-rows --map-steps 0,4-6": {
        "environment": {"kwargs": {"size": 9}}, "sampling": {"mode": "sample", "temperature": 0.5},
        "rows": {"enabled": False}, "maps": {"steps": [0, 4, 5, 6]},
    },
    "submit --checkpoint a --rows --layers 0,1 --heads 0-3 --row-envs 2 --rows-every 4 --seeds 3": {
        "rows": {"envs": [2], "every": 4, "layers": [0, 1], "heads": [0, 1, 2, 3]}, "seeds": [3],
    },
}  # fmt: skip

TRIALS = {
    "trial --checkpoint a --strategy recency --strategy sinks:sinks=2 --budget 0.4,0.2 --positions keep --wait": {
        "strategies": [{"name": "recency"}, {"name": "sinks", "parameters": {"sinks": 2}}], "budgets": [0.4, 0.2],
        "positions": ["keep"],
    },
    """trial --checkpoint a --strategy '{"name": "sinks", "sinks": 8}' --budget 40 --budget 0.5 --dry-run""": {
        "strategies": [{"name": "sinks", "parameters": {"sinks": 8}}], "budgets": [40, 0.5],
    },
    "trial --checkpoint a --strategy recency --budget 8 --positions reindex --positions keep --interval full "
    "--no-controls --divergence-steps 0 --kept-steps 3 --margin 0.1 --seeds 5,6 --episodes 3 --label mine": {
        "strategies": [{"name": "recency"}], "budgets": [8], "positions": ["reindex", "keep"], "interval": "full",
        "controls": False, "divergence_steps": 0, "kept_steps": 3, "margin": 0.1, "seeds": [5, 6], "episodes": 3,
        "label": "mine",
    },
    "trial --checkpoint a --strategy latents:newest=4": {
        "strategies": [{"name": "latents", "parameters": {"newest": 4}}],
    },
    "trial --checkpoint a --strategy recency --budget 8 --interval 10 --memory stateful --path cached --no-speed": {
        "strategies": [{"name": "recency"}], "budgets": [8], "interval": 10, "memory": "stateful", "path": "cached",
        "speed": {"enabled": False},
    },
    "trial --checkpoint a --strategy recency --budget 8 --speed --speed-envs 1,2 --speed-decisions 5 --speed-rounds 1 "
    "--controls --greedy --goal 5,4 --env x --env-kwarg size=7 --json": {
        "strategies": [{"name": "recency"}], "budgets": [8], "speed": {"envs": [1, 2], "decisions": 5, "rounds": 1},
        "sampling": {"mode": "greedy"}, "tasks": {"goals": [(5, 4)]}, "environment": {"id": "x", "kwargs": {"size": 7}},
    },
}  # fmt: skip


@pytest.mark.parametrize("line", CAPTURES)
def test_a_capture_is_what_its_command_line_meant(sent, line):
    """Each option lands in its field; what is not named is the field's default."""
    name = shlex.split(line)[2]
    assert sent(line) == CaptureSpec.model_validate({"checkpoint": name, **CAPTURES[line]})


@pytest.mark.parametrize("line", TRIALS)
def test_a_trial_is_what_its_command_line_meant(sent, line):
    """Each option lands in its field; what is not named is the field's default."""
    assert sent(line) == TrialSpec.model_validate({"checkpoint": "a", **TRIALS[line]})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("submit", "checkpoint"),
        ("submit --checkpoint a --tasks x", "expected numbers like 7"),
        ("submit --checkpoint a --goal 5", "expected numbers like 5,4"),
        ("submit --checkpoint a --env-kwarg size", "expected name=value"),
        ("trial --budget 8 --strategy recency", "needed, unless --from-report or --recommended says it"),
        ("trial --checkpoint a --strategy recency --budget 40x", "expected 40, 0.4 or 40%"),
        ("trial --checkpoint a --strategy recency --budget 8 --from-report . --recommended last", "not both"),
    ],
)
@pytest.mark.usefixtures("sent")
def test_wrong_usage_is_said_before_anything_is_sent(line, words):
    """It ends in status 2 and a sentence that names the option."""
    result = CliRunner().invoke(app, shlex.split(line), terminal_width=300, env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert words in result.output
