"""Shapes in the signatures of measures are checked while these tests run."""

from __future__ import annotations

from jaxtyping import install_import_hook

install_import_hook(
    ["attnscope.measures", "attnscope.recommendations", "attnscope_model.strategies"], "beartype.beartype"
)
