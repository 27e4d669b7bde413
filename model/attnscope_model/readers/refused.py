"""Layouts that are recognised and not read, each with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class RefusedLayout:
    """A layout that is known and not supported."""

    name: str
    reason: str
    recognises: Callable[[Collection[str]], bool]


def _any(pattern: str) -> Callable[[Collection[str]], bool]:
    compiled = re.compile(pattern)
    return lambda names: any(map(compiled.match, names))


def _all(*patterns: str, without: str | None = None) -> Callable[[Collection[str]], bool]:
    parts = [_any(pattern) for pattern in patterns]
    other = _any(without) if without is not None else lambda _names: False
    return lambda names: all(part(names) for part in parts) and not other(names)


REFUSED: Final = (
    RefusedLayout(
        "the compressing AD of CCCAD_Meta",
        "its encoder folds one more transition into the latents at every step, so no slot keeps its identity",
        _all(r"encoder\.query_tokens\b", r"transformer_decoder\.layers\.\d+\."),
    ),
    RefusedLayout(
        "shunzh's AD",
        "it adds an embedding of the episode's timestep to every token, which a context here does not carry",
        _all(r"encoder\.h\.\d+\.", r"embed_timestep\.weight", without=r"embed_return\."),
    ),
    RefusedLayout(
        "a TransformerLens model",
        "its positions, norms and activation are in a configuration that its state dict does not hold",
        _any(r"transformer\.blocks\.\d+\.attn\.W_Q"),
    ),
    RefusedLayout(
        "the interleaved AD of early AD repositories",
        "its token order and positions are told by its code alone, which changed between revisions",
        _all(r"type_emb\b", r"pos_emb\b", r"transformer\.layers\.\d+\."),
    ),
    RefusedLayout(
        "DPT on images",
        "its observations are pictures, and no environment here draws them",
        _any(r"image_encoder\."),
    ),
)
"""Every layout that is refused by name."""
