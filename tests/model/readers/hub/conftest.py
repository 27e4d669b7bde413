"""Hugging Face folders: the golden ones, and copies of them that a test may change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "hub"

DECLARATIONS = {
    "gpt2": {
        "tokens": ["state", "action"],
        "observation": "discrete",
        "states": 37,
        "first_state": 0,
        "actions": 37,
        "first_action": 0,
        "context_length": 48,
        "preset": "some.listed.environment",
    },
    "llama": {
        "tokens": ["state", "action"],
        "observation": "discrete",
        "states": 41,
        "first_state": 0,
        "actions": 41,
        "first_action": 0,
        "context_length": 64,
        "preset": "some.listed.environment",
    },
    "bloom": {
        "tokens": ["state", "action"],
        "observation": "discrete",
        "states": 37,
        "first_state": 0,
        "actions": 37,
        "first_action": 0,
        "context_length": 64,
        "preset": "some.listed.environment",
    },
    "decision_transformer": {
        "actions": 3,
        "steps": 12,
        "target_return": 4.0,
        "preset": "some.listed.environment",
    },
}
"""Declarations in which every entry is an action, so that all logits are read."""


class Folder:
    """A copy of a golden folder."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind, self.path = kind, path
        shutil.copytree(GOLDEN / kind, path)
        self.declare(**DECLARATIONS[kind])

    def declare(self, **changes):
        """Change the declaration; None leaves a key out."""
        self._change("attnscope.json", changes)

    def configure(self, **changes):
        """Change the configuration; a key that is `...` is left out."""
        self._change("config.json", changes)

    def _change(self, name, changes):
        path = self.path / name
        said = json.loads(path.read_text()) if path.exists() else {}
        said = {key: value for key, value in (said | changes).items() if value is not ...}
        path.write_text(json.dumps(said))


@pytest.fixture
def folder(tmp_path):
    """Return a function that copies a golden folder."""
    return lambda kind: Folder(kind, tmp_path / kind)


@pytest.fixture(scope="session")
def golden_of():
    """Return a function that gives a folder's golden arrays."""
    return lambda kind: dict(np.load(GOLDEN / kind / "golden.npz"))
