"""A package with compressors, installed as one module with its entry points, here and in processes that are started."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

SOURCE = '''
import torch
from attnscope_model.forward.compressing import LearnedCompressor, Packed


class Looking(LearnedCompressor):
    """Packs six tokens, later five, into two latents, and says what they looked at."""

    latents, first, every, heads, loud = 2, 6, 5, 3, True

    def __init__(self, policy):
        per, width = policy.description.tokens_per_transition, policy.description.width
        self.per = per
        drawn = torch.Generator().manual_seed(1)
        self.queries = torch.randn(self.heads, self.latents, width, generator=drawn) / width**0.5
        self.values = torch.randn(width, width, generator=drawn) / width**0.5
        self.kind = torch.randn(1, 1, width, generator=drawn)

    def when(self, tokens, *, packed):
        return tokens >= (self.every if packed else self.first) * self.per

    def compress(self, held, tokens):
        x = tokens if held is None else torch.cat([held, tokens], dim=1)
        weights = torch.softmax(torch.einsum("hlw,esw->ehls", self.queries, x), dim=-1)
        latents = torch.tanh((weights @ (x @ self.values)[:, None]).mean(dim=1))
        return Packed(latents, weights[:, None] if self.loud else None)

    def embed(self, latents):
        return latents + self.kind

    def flops(self, sources):
        return 10.0 * sources


class Silent(Looking):
    """The same, and says nothing of its attention."""

    loud = False


class Late(Looking):
    """Packs when no context holds as much."""

    first = 100_000


class Failing(Looking):
    """Cannot be made."""

    def __init__(self, policy):
        print("noise of a foreign package")
        raise RuntimeError("trained for another policy")
'''

NAMES = ("looking", "silent", "late", "failing")
"""Compressors of the package."""


def install_compressors(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the package be found until the patch is undone."""
    (folder / "packing_here.py").write_text(SOURCE)
    info = folder / "packing_here-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: packing-here\nVersion: 1.5\n")
    lines = [f"{name} = packing_here:{name.capitalize()}" for name in NAMES]
    (info / "entry_points.txt").write_text("\n".join(["[attnscope.compressors]", *lines, ""]))
    patch.syspath_prepend(folder)
    known = os.environ.get("PYTHONPATH")
    patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *([known] if known else [])]))
    importlib.invalidate_caches()
