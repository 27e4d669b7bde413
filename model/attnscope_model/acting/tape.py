"""Recording attention in the pass that produces the action.

An `AttentionTape` is a context manager around a policy's forward. It takes itself off again whatever happens, and it
refuses a recording with layers missing or rows that do not sum to one. What the policy computes for its output is the
same code with and without a tape, so recording cannot change an action. A rollout, which records at every step, gives
its tapes a `RowRoom`, where layers put their rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final

import torch
from jaxtyping import Float, Float16
from torch import Tensor

from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.policy import Policy
from attnscope_storage.wire import PolicyDescription

SUM_TOLERANCE: Final = 1e-4
"""Distance of a recorded float32 row's sum from 1, at most."""


class RowRoom:
    """Memory for the decision rows of a batch, made once and filled by every decision.

    Parameters
    ----------
    envs, layers, heads, slots
        Sizes of the batch and of its longest context.
    device
        Where the rows are.
    """

    def __init__(self, envs: int, layers: int, heads: int, slots: int, device: torch.device) -> None:
        with torch.inference_mode(mode=False):  # memory that may be written inside inference mode and outside
            self._whole = torch.empty(envs, layers, heads, slots, device=device)
        self._tiling = (0, 0)
        self._places: list[Tensor] = []

    def rows(self, tokens: int) -> Float[Tensor, "env layer head slot"]:
        """Return the rows of contexts of so many tokens."""
        return self._whole[..., :tokens]

    def places(self, tokens: int, tile: int) -> list[Tensor]:
        """Return where each record of a decision goes [env, head, 1, slot]: tile by tile, and layer by layer.

        Parameters
        ----------
        tokens
            Tokens of each context.
        tile
            Contexts that one forward takes.
        """
        if self._tiling != (tokens, tile):
            tiles = torch.split(self.rows(tokens), tile)
            self._places = [part[:, layer, :, None] for part in tiles for layer in range(part.shape[1])]
            self._tiling = (tokens, tile)
        return self._places


class AttentionTape:
    """Record the decision rows, and where asked the whole maps, of one forward.

    Parameters
    ----------
    policy
        The policy whose forward runs inside the ``with`` block.
    maps
        Record whole maps too; they are computed beside the output.
    places
        Where each record's row goes, layer by layer; as many forwards run inside the block as there are rounds of
        layers, and their sums are for the caller to look at (`furthest_off`). By default one forward, whose rows the
        tape keeps and looks at.
    map_places
        Where each record's map goes, in the same order, so that no map is held twice; by default the tape keeps them.

    Raises
    ------
    CaptureInvalidError
        On leaving: a layer did not record exactly once a forward, or a row does not sum to 1. While recording: a row
        of another shape than its place.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        maps: bool = False,
        places: Sequence[Tensor] | None = None,
        map_places: Sequence[Tensor] | None = None,
    ) -> None:
        self.with_maps = maps
        self._sites = policy.attentions()
        self._layers = policy.description.layers
        self._places = places
        self._recorded = 0
        self._recorded_rows: list[Tensor] = []
        self._recorded_maps: list[Tensor] = []
        self._map_places = map_places
        self._rows: Tensor | None = None

    def place(self) -> Float[Tensor, "env head 1 slot"] | None:
        """Return where the next row may be written; None where the tape keeps what it is given."""
        return None if self._places is None or self._recorded >= len(self._places) else self._places[self._recorded]

    def map_place(self) -> Tensor | None:
        """Return where the next map may be written; None where the tape keeps what it is given."""
        count = len(self._recorded_maps)
        return None if self._map_places is None or count >= len(self._map_places) else self._map_places[count]

    def record(self, row: Float[Tensor, "env head 1 slot"], whole: Float[Tensor, "env head query slot"] | None) -> None:
        """Take down one layer."""
        place = self.place()
        self._recorded += 1
        if self._places is None:
            self._recorded_rows.append(row[:, :, 0])
        elif place is not None and row is not place:
            if row.shape != place.shape:
                raise CaptureInvalidError(f"expected a row of {list(place.shape)}, got {list(row.shape)}")
            place.copy_(row)
        if whole is not None:
            room = self.map_place()
            self._recorded_maps.append(whole if room is None or room is whole else room.copy_(whole))

    @property
    def rows(self) -> Float[Tensor, "env layer head slot"]:
        """The deciding query's attention, where the tape keeps it; readable once the block has ended well."""
        if self._rows is None:
            raise CaptureInvalidError("nothing is recorded: run a forward inside the tape's block first")
        return self._rows

    @property
    def maps(self) -> Float[Tensor, "env layer head query slot"] | None:
        """Every query's attention; None where it was not asked for."""
        if not self.with_maps:
            return None
        starts = range(0, len(self._recorded_maps), self._layers)
        tiles = [torch.stack(self._recorded_maps[start : start + self._layers], dim=1) for start in starts]
        return tiles[0] if len(tiles) == 1 else torch.cat(tiles)

    def __enter__(self) -> AttentionTape:  # noqa: PYI034 - beartype reads annotations outside the class
        if any(site.tape is not None for site in self._sites):
            raise RuntimeError("another tape is recording this policy")
        for site in self._sites:
            site.tape = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for site in self._sites:
            site.tape = None
        if error is None:
            self._refuse_incomplete()
            if self._places is None:
                self._rows = torch.stack(self._recorded_rows, dim=1)
                refuse_off(furthest_off(self._rows).item())

    def _refuse_incomplete(self) -> None:
        expected = self._layers if self._places is None else len(self._places)
        if self._recorded != expected or (self.with_maps and len(self._recorded_maps) != expected):
            times = expected // self._layers
            raise CaptureInvalidError(
                f"expected {'one record' if times == 1 else f'{times} records'} of each of {self._layers} layers, "
                f"got {self._recorded} records"
            )


def map_room(
    policy: PolicyDescription, envs: int, length: int, device: torch.device
) -> Float16[Tensor, "env layer head query slot"]:
    """Return memory for the whole maps of one decision, as a capture keeps them: NaN past the context.

    Parameters
    ----------
    length
        Tokens of the present contexts; what lies within them is not written yet.
    """
    slots = policy.context_length
    room = torch.empty(envs, policy.layers, policy.heads, slots, slots, dtype=torch.float16, device=device)
    room[..., length:, :].fill_(torch.nan)
    room[..., :length, length:].fill_(torch.nan)
    return room


def furthest_off(rows: Float[Tensor, "env layer head slot"]) -> Float[Tensor, ""]:
    """Return how far a row's sum is from 1 at most; NaN where one is."""
    return (rows.sum(dim=-1) - 1).abs().max()


def refuse_off(distance: float) -> None:
    """Raise `CaptureInvalidError` where a row's sum is further than `SUM_TOLERANCE` from 1, or is not a number."""
    if not distance <= SUM_TOLERANCE:
        raise CaptureInvalidError(f"expected decision rows that sum to 1, got a sum {distance:.2e} away from it")
