"""A rule in one new file, or in one installed package, is listed, recommended and tried; no other file changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.service

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "attnscope-strategy-example" / "attnscope_strategy_example"

RULE = '''
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Int

from attnscope_model.strategies.arrays import Array
from attnscope_model.strategies.base import Form, Selection
from attnscope_model.strategies.parameters import parameter
from attnscope_model.strategies.view import ContextView


@dataclass(frozen=True)
class Oldest(Selection):
    """Keep the oldest tokens."""

    name: ClassVar[str] = "oldest"
    forms: ClassVar[tuple[Form, ...]] = (Form({"skipped": 0}, {"skipped": 2}, interval=3),)

    skipped: int = parameter(0, "Oldest tokens that are not kept.", low=0)

    def keep(self, view: ContextView, limit: Int[Array, "*batch"]) -> Bool[Array, "*batch entry"]:
        """Return the entries after those that are skipped."""
        return view.held & (view.place >= self.skipped) & (view.place < self.skipped + limit[..., None])
'''

SCRIPT = """
import json, sys
from pathlib import Path
import torch
import attnscope
from attnscope_env import preset
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.strategies import candidates, describe_all
from attnscope_server.trials.resolving import resolve_trial
from attnscope_server.trials.rollout import TrialRunner
from attnscope_storage.wire import TrialSpec

name, capture, checkpoint, folder = sys.argv[1:]
advice = attnscope.recommend(attnscope.open(capture))
registry = CheckpointRegistry(Path(folder))
registry.add(Path(checkpoint), causal=True, name="causal")
spec = TrialSpec.model_validate({
    "checkpoint": "causal", "tasks": {"goals": [(5, 4)]}, "seeds": [0], "episodes": 3, "controls": False,
    "strategies": [{"name": name}], "budgets": [6], "speed": {"enabled": False}, "divergence_steps": 1, "kept_steps": 1,
})
resolved = resolve_trial(spec, registry)
room = preset("darkroom-reference")
trial = TrialRunner(
    spec, resolved, load_policy(registry.folder("causal"), torch.device("cpu")),
    lambda axis: room.make_vector([room.task(int(index)) for index in axis.task]), torch.device("cpu"),
)
results = [result for wave in trial.waves() for result in trial.run(wave)]
found = next(one for one in candidates() if one.key == name)
print(json.dumps({
    "listed": [info.name for info in describe_all()],
    "recommended": [one.key for one in advice.recommendations],
    "refused": sorted(advice.not_applicable),
    "choices": [str(rule) for rule in found.choices],
    "interval": found.interval,
    "tried": [one.text for one in resolved.conditions],
    "kept": float(results[-1].kept.max()),
}))
"""


@pytest.fixture(scope="module")
def look(captures, tmp_path_factory):
    """Return a function that asks a fresh process, which sees one more folder of packages, about a rule."""

    def look(name: str, packages: Path) -> dict:
        words = [name, captures["recent"], ROOT / "tests" / "golden" / "ckpt-causal.pt"]
        command = [sys.executable, "-c", SCRIPT, *map(str, words), str(tmp_path_factory.mktemp("registry"))]
        environment = os.environ | {"PYTHONPATH": str(packages), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return look


def test_a_rule_in_one_new_file_is_like_any_other(look, tmp_path):
    """Placed among the rules it is listed behind them, ranked in its form's choices and rolled out in a trial."""
    source, copy = ROOT / "model" / "attnscope_model", tmp_path / "attnscope_model"
    copy.mkdir()
    for part in source.iterdir():
        if part.name == "strategies":
            shutil.copytree(part, copy / part.name)
        elif part.name != "__pycache__":
            (copy / part.name).symlink_to(part)
    (copy / "strategies" / "rules" / "oldest.py").write_text('"""The oldest tokens."""\n' + RULE, encoding="utf-8")
    found = look("oldest", tmp_path)
    assert found["listed"][-1] == "oldest"
    assert "oldest" in found["recommended"]
    assert (found["choices"], found["interval"]) == (["oldest(skipped=0)", "oldest(skipped=2)"], 3)
    assert found["tried"] == ["none()", "oldest(skipped=0)"]
    assert found["kept"] == 6


def test_a_rule_of_an_installed_package_is_like_any_other(look, tmp_path):
    """Named by an entry point it is listed last, ranked and tried; the package says nothing else of itself."""
    shutil.copytree(EXAMPLE, tmp_path / EXAMPLE.name)
    told = tmp_path / "attnscope_strategy_example-1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: attnscope-strategy-example\nVersion: 1\n")
    points = "[attnscope.strategies]\nfirst-visits = attnscope_strategy_example.first_visits:FirstVisits\n"
    (told / "entry_points.txt").write_text(points)
    found = look("first-visits", tmp_path)
    assert found["listed"][-1] == "first-visits"
    assert "first-visits" in found["recommended"]
    assert found["interval"] == 1
    assert found["tried"][-1].startswith("first-visits")
    assert found["kept"] == 6
