"""Weights in half precision: half as large in the repository, and what is judged is what they say."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor


def halved(file: Path, to: Path) -> Path:
    """Write a checkpoint of a layout with its weights rounded to half precision, and return its path.

    Raises
    ------
    ValueError
        A weight is too large for half precision.
    """
    content = torch.load(file, map_location="cpu", weights_only=True)
    model = {name: _rounded(name, weights) for name, weights in content["model"].items()}
    return _written({**content, "model": model}, to)


def widened(half: Path, to: Path) -> Path:
    """Write the same checkpoint in single precision, as its layout's readers want it, and return its path."""
    content = torch.load(half, map_location="cpu", weights_only=True)
    model = {name: one.float() if one.is_floating_point() else one for name, one in content["model"].items()}
    return _written({**content, "model": model}, to)


def _rounded(name: str, weights: Tensor) -> Tensor:
    if not weights.is_floating_point():
        return weights
    rounded = weights.half()
    if not bool(rounded.isfinite().all()):
        raise ValueError(f"{name}: a weight is too large for half precision")
    return rounded.clone()


def _written(content: object, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, to)
    return to
