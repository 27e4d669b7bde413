"""Captures of the golden files of other libraries hold what these libraries computed themselves.

An environment shows the golden observations and pays the golden rewards, whatever is done. Where the golden actions
were nobody's choice they are put in place of the policy's; all else is what every capture goes through.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from attnscope_env import GymnasiumEntry, Listings
from attnscope_env.presets.gymnasium_entry import TaskEntry
from attnscope_model.acting.outputs.choice import Choice
from attnscope_model.acting.outputs.vector import ActionVector
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire import CaptureSpec
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CPU = torch.device("cpu")
MEASURED = {
    "gpt2": 4.9e-6,
    "llama": 5.5e-6,
    "bloom": 1.27e-5,
    "decision_transformer": 4.4e-7,
    "trxl": 1.1e-5,
    "amago": 5.0e-6,
}
"""Largest distance of independent forwards in double precision from the libraries'; ten times that is allowed."""

HALF = 2.0**-11
"""Rounding of a weight to float16, at most."""

PAST = 3
"""Steps before the golden Decision Transformer's first one, whose time in its episode is 3."""


@dataclass
class Script:
    """The course of an environment: each array's first axis is the step, of observations beside it the task."""

    observation: np.ndarray
    reward: np.ndarray
    ended: np.ndarray
    observation_space: Any
    action_space: Any
    actions: np.ndarray | None = None
    """Actions [step, task, ...] that stand in place of the policy's."""
    statements: dict[str, Any] = field(default_factory=dict)
    """Statements of whoever adds the file."""


SCRIPTS: dict[str, Script] = {}


class Scripted(gymnasium.Env[Any, Any]):
    """Shows a script, step by step; a new episode goes on with it."""

    def __init__(self, script: str, row: int = 0) -> None:
        self._script, self._row, self._at = SCRIPTS[script], row, 0
        self.observation_space, self.action_space = self._script.observation_space, self._script.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Go on where the script is."""
        super().reset(seed=seed, options=options)
        return self._observed(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ARG002 - nothing depends on it
        """Pay the script's reward and show its next observation."""
        at, self._at = self._at, self._at + 1
        return self._observed(), float(self._script.reward[at]), bool(self._script.ended[at]), False, {}

    def _observed(self) -> Any:
        seen = self._script.observation
        return seen[min(self._at, len(seen) - 1), self._row]


def language(kind: str, folder: Path) -> Script:
    """Return the golden entries of a vocabulary as states and actions in turn, and declare them so."""
    golden, size = load(f"hub/{kind}"), {"gpt2": 37, "llama": 41, "bloom": 37}[kind]
    shutil.copytree(GOLDEN / "hub" / kind, folder)
    places = {"states": size, "first_state": 0, "actions": size, "first_action": 0, "context_length": 48}
    declared = {"tokens": ["state", "action"], "observation": "discrete", "preset": kind}
    (folder / "attnscope.json").write_text(json.dumps(places | declared))
    ids = golden["input_ids"].T
    still, each = np.zeros(20), spaces.Discrete(size)
    return Script(ids[0::2], still, still, each, each, actions=ids[1::2])


def returns(steps: int, folder: Path) -> Script:
    """Return the golden states, returns and actions, behind steps that a context of so many does not show."""
    golden = load("hub/decision_transformer")
    shutil.copytree(GOLDEN / "hub" / "decision_transformer", folder)
    left = golden["returns_to_go"][0, :, 0]
    declared = {"steps": steps, "target_return": float(left[0]), "continuous": True, "preset": f"returns-{steps}"}
    (folder / "attnscope.json").write_text(json.dumps(declared))
    assert golden["timesteps"][0].tolist() == list(range(PAST, PAST + 12))

    def behind(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros((PAST, 1, values.shape[-1]), np.float32), np.moveaxis(values, 0, 1)])

    reward = np.concatenate([np.zeros(PAST), left[:-1] - left[1:], [0.0]])
    seen, acted = spaces.Box(-50, 50, (5,), np.float32), spaces.Box(-50, 50, (3,), np.float32)
    states, actions = behind(golden["states"]), behind(golden["actions"])
    return Script(states, reward, np.zeros(PAST + 12), seen, acted, actions=actions)


def transformer_xl(folder: Path) -> Script:
    """Return the golden observations of cleanrl's policy."""
    golden, file = load("trxl-cleanrl"), folder / "ppo_trxl.cleanrl_model"
    folder.mkdir()
    shutil.copy(GOLDEN / "trxl-cleanrl" / file.name, file)
    longest = int(golden["max_episode_steps"])
    file.with_name(f"{file.name}.json").write_text(json.dumps({"max_episode_steps": longest}))
    still, seen = np.zeros(len(golden["observation"])), spaces.Box(-50, 50, (3,), np.float32)
    choices = spaces.Discrete(golden["logits_0"].shape[-1])
    return Script(golden["observation"][:, None], still, still, seen, choices, statements={"preset": "trxl"})


def amago(folder: Path) -> Script:
    """Return the golden observations, rewards and ends of AMAGO's agent."""
    golden = load("amago")
    shutil.copytree(GOLDEN / "amago", folder)
    seen, choices = spaces.Box(-50, 50, (4,), np.float32), spaces.Discrete(int(golden["n_actions"]))
    stated = {"preset": "amago", "config": folder / "config.txt", "context_length": int(golden["max_seq_len"])}
    observed = golden["observation"][:, None].astype(np.float32)
    return Script(observed, golden["reward"], golden["done"], seen, choices, statements=stated)


def load(name: str) -> dict[str, np.ndarray]:
    """Return golden arrays."""
    return dict(np.load(GOLDEN / name / "golden.npz"))


@pytest.fixture
def captured(tmp_path, monkeypatch):
    """Return a function that captures a golden file along its script."""
    if "golden/Scripted-v0" not in gymnasium.registry:
        gymnasium.register("golden/Scripted-v0", entry_point=Scripted)
    torch.set_num_threads(1)

    def run(name: str, script: Script, file: Path, **asked: Any) -> CaptureReader:
        monkeypatch.setitem(SCRIPTS, name, script)
        rows, steps = script.observation.shape[1], len(script.observation)
        continuous = isinstance(script.action_space, spaces.Box)
        actions = script.action_space.shape[0] if continuous else script.action_space.n
        entry = GymnasiumEntry(
            id="golden/Scripted-v0",
            preset=name,
            horizon=1000,
            actions=tuple(map(str, range(actions))),
            continuous=continuous,
            tasks=tuple(TaskEntry(label=f"{row}", kwargs={"script": name, "row": row}) for row in range(rows)),
        )
        registry = CheckpointRegistry(tmp_path / "registry")
        with reading_here():
            info = registry.add(file, name=name, **script.statements)
        if script.actions is not None:
            taken = iter(script.actions)
            kind = ActionVector if continuous else Choice
            monkeypatch.setattr(kind, "choose", lambda *_: next(taken))
        common = {"tasks": {"split": "all", "indices": list(range(rows))}, "rows": {"form": "f16"}}
        common |= {"maps": {"count": 0}, "sampling": {"mode": "greedy"}}
        spec = CaptureSpec.model_validate({"checkpoint": name, "steps": steps} | common | asked)
        listings = Listings([entry])
        resolved, path = resolve(spec, registry, listings), tmp_path / f"{name}.zarr"
        order = CaptureOrder(name, "o", spec, resolved, path, durable=False, listings=listings)
        run_capture(order, load_policy(registry.folder(info.id), CPU), info, CPU)
        reader = CaptureReader.open(path)
        assert verify(reader).ok
        if script.actions is not None:
            assert np.array_equal(reader.array("rollout/action")[:], script.actions)
        return reader

    return run


def assert_row(reader: CaptureReader, step: int, expected: np.ndarray, allowed: float) -> None:
    """Compare a stored row, and the statistics that were taken of it before it was rounded."""
    stored = reader.array("attention/rows")[step, 0]
    assert reader.array("context/length")[step, 0] == expected.shape[-1]
    assert np.abs(stored[..., : expected.shape[-1]] - expected).max() < allowed + HALF
    assert np.isnan(stored[..., expected.shape[-1] :]).all()
    assert np.abs(reader.array("stats/max")[step, 0] - expected.max(axis=-1)).max() < allowed
    assert np.abs(reader.array("stats/self")[step, 0] - expected[..., -1]).max() < allowed
    effective = 1 / (expected.astype(np.float64) ** 2).sum(axis=-1)
    assert np.allclose(reader.array("stats/effective")[step, 0], effective, rtol=100 * allowed)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bloom"])
def test_a_language_models_capture_is_its_librarys(captured, tmp_path, kind):
    """Two sequences of the golden entries: every logit, every row and a whole map, over a context that grows."""
    golden, allowed = load(f"hub/{kind}"), 10 * MEASURED[kind]
    reader = captured(kind, language(kind, tmp_path / kind), tmp_path / kind, maps={"steps": [3]})
    logits = reader.array("policy/logits")[:]
    assert np.abs(logits - np.moveaxis(golden["logits_all"][:, 0::2], 0, 1)).max() < allowed
    for step in range(20):
        tokens = 2 * step + 1
        assert_row(reader, step, golden["rows"][2 * step][..., :tokens], allowed)
    whole = reader.array("attention/maps")[0, 0]
    assert np.abs(whole[..., :7, :7] - golden["attention_7"]).max() < allowed + HALF


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_a_decision_transformers_capture_is_its_librarys(captured, tmp_path, steps):
    """A context of so many steps, the first one's time being 3: its last action, row and statistics."""
    golden, allowed = load("hub/decision_transformer"), 10 * MEASURED["decision_transformer"]
    name = f"returns-{steps}"
    reader = captured(name, returns(steps, tmp_path / name), tmp_path / name)
    last = PAST + steps - 1
    assert np.abs(reader.array("policy/output")[last, 0] - golden[f"action_{steps}"]).max() < allowed
    assert_row(reader, last, golden[f"attention_{steps}"][:, :, -2, :-1], allowed)


def test_a_transformer_xls_capture_is_its_librarys(captured, tmp_path):
    """Logits and rows at every step, past the window's length; the present step is no key."""
    golden, allowed = load("trxl-cleanrl"), 10 * MEASURED["trxl"]
    folder = tmp_path / "trxl"
    reader = captured("trxl", transformer_xl(folder), folder / "ppo_trxl.cleanrl_model")
    assert np.abs(reader.array("policy/logits")[:, 0] - golden["logits_0"]).max() < allowed
    for step, (row, seen) in enumerate(zip(golden["rows"], golden["memory_mask"], strict=True)):
        past = row[..., seen] if step else row[..., :0]
        own = np.full((*row.shape[:2], 1), float(step == 0), np.float32)
        assert_row(reader, step, np.concatenate([past, own], axis=-1), allowed)


def test_an_amago_agents_capture_is_its_librarys(captured, tmp_path):
    """Two meta-episodes past the window's length: the policy's own actions, its probabilities and its rows."""
    golden, allowed = load("amago"), 10 * MEASURED["amago"]
    reader = captured("amago", amago(tmp_path / "amago"), tmp_path / "amago" / "policy_epoch_50.pt")
    assert np.array_equal(reader.array("rollout/action")[:, 0], golden["action"])
    acted, raw = (
        values.astype(np.float64) for values in (reader.array("policy/logits")[:, 0], golden["params"][:, -1])
    )
    chances = np.clip(np.exp(raw) / np.exp(raw).sum(axis=-1, keepdims=True), 0.001, 0.99)
    chances /= chances.sum(axis=-1, keepdims=True)
    now = np.exp(acted) / np.exp(acted).sum(axis=-1, keepdims=True)
    assert np.abs(now - chances).max() < allowed
    for step, tokens in enumerate(golden["tokens"]):
        assert_row(reader, step, golden["rows"][step][..., :tokens], allowed)
