"""Shapes in the signatures of strategies are checked while these tests run."""

from __future__ import annotations

from jaxtyping import install_import_hook

install_import_hook("attnscope_model.strategies", "beartype.beartype")
