"""Replayed maps on the wire: the kinds there are, and the axes of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

MapKind = Literal["weights", "value-weighted", "rollout", "leave-one-out", "leave-one-latent-out"]
"""A question about a decision:

- ``weights``: attention weights of every query.
- ``value-weighted``: ‖A_ij f(x_j)‖, what a weight moves (Kobayashi et al., 2020).
- ``rollout``: input tokens traced through the layers, heads averaged (Abnar & Zuidema, 2020).
- ``leave-one-out``: KL(π_full ‖ π_without) in nats for each transition of the window; of action vectors without a
  distribution their scaled distance.
- ``leave-one-latent-out``: the departure of the decision for each latent of the context, hidden from every other token.
"""

Positions = Literal["reindex", "mask"]
"""The positions of the kept tokens when a transition is left out: packed anew, or in place with the others unseen."""

MapFormat = Literal["npy", "f16", "u8"]
"""NumPy's format in float32 or float16, or one byte a weight: round(254·√x)."""

MAP_DIMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "weights": ("layer", "head", "query", "slot"),
        "value-weighted": ("layer", "head", "query", "slot"),
        "rollout": ("layer", "query", "slot"),
        "leave-one-out": ("transition",),
        "leave-one-latent-out": ("latent",),
    }
)
"""Axes of each kind's answer."""

MAP_KINDS: Final[tuple[str, ...]] = get_args(MapKind)
MAP_POSITIONS: Final[tuple[str, ...]] = get_args(Positions)
MAP_FORMATS: Final[tuple[str, ...]] = get_args(MapFormat)
