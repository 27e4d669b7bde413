"""The values of a recipe that cannot be trained with, in words."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

from attnscope_model.training.trainer import Recipe

SEEDS: Final = 2**32
"""Seeds are below this: what every generator takes."""


def why_odd_recipe(recipe: Recipe, context_length: int) -> str | None:
    """Return why a recipe cannot train a policy of this context length; None where it can."""
    if not (math.isfinite(recipe.learning_rate) and recipe.learning_rate > 0):
        return f"expected a finite learning rate above 0, got {recipe.learning_rate}"
    if not (math.isfinite(recipe.discovery_weight) and recipe.discovery_weight > 0):
        return f"expected a finite weight of discoveries above 0, got {recipe.discovery_weight}"
    if not 0 <= recipe.short_share <= 1:
        return f"expected a share of short windows from 0 to 1, got {recipe.short_share}"
    if not 0 <= recipe.seed < SEEDS:
        return f"expected a seed from 0 to {SEEDS - 1}, got {recipe.seed}"
    if recipe.short_length is not None and not 1 < recipe.short_length <= context_length:
        return f"expected short windows of 2 to {context_length}, got {recipe.short_length}"
    return _why_odd_lengths(recipe, context_length)


def _why_odd_lengths(recipe: Recipe, context_length: int) -> str | None:
    """Return why no window has the learned context lengths, or why short windows would have no loss."""
    lengths, least = recipe.lengths, recipe.short_length or context_length
    if lengths is None:
        return None
    rising = all(one < other for one, other in pairwise(lengths))
    if lengths and rising and lengths[0] >= 1 and lengths[-1] <= context_length and lengths[0] <= least:
        return None
    given = ", ".join(map(str, lengths)) or "none"
    return f"expected rising lengths of 1 to {context_length} tokens, the first of {least} at most, got {given}"
