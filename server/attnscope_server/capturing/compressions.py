"""From a compression to the step block: its step, its latents, and what the compressor looked at."""

from __future__ import annotations

import torch

from attnscope_model.acting.packing import Compression
from attnscope_model.errors import CaptureInvalidError
from attnscope_storage.kinds.capture.compressions import ATTENTION, LATENTS, SOURCES, STEP, CompressionDims
from attnscope_storage.writing.blocks import StepBlock

FAR: float = 1e-4
"""Distance of a row's sum from 1, from which it is no attention."""


class CompressionRecorder:
    """Puts the compressions of one block where the writer takes them from.

    Parameters
    ----------
    dims
        The sizes of what is kept.
    block
        The block being filled.
    first
        Step that the block begins with.
    """

    def __init__(self, dims: CompressionDims, block: StepBlock, first: int) -> None:
        self._dims, self._block = dims, block
        self._before = dims.rhythm.compressions(first)

    def __call__(self, compression: Compression) -> None:
        """Store a compression.

        Raises
        ------
        CaptureInvalidError
            It did not take place when the policy's description says, or its attention is none.
        """
        dims, arrays = self._dims, self._block.arrays
        number = dims.rhythm.compressions(compression.step + 1) - 1
        expected = dims.rhythm.sources if number else dims.rhythm.first_sources
        if number < 0 or (compression.step, compression.sources) != (dims.rhythm.step(number), expected):
            raise CaptureInvalidError(
                f"the policy packed {compression.sources} tokens after step {compression.step}, and its description "
                f"says {expected} after step {dims.rhythm.step(max(number, 0))}"
            )
        place = number - self._before
        arrays[STEP][place], arrays[SOURCES][place] = compression.step, compression.sources
        arrays[LATENTS][place] = compression.packed.latents.float().cpu().numpy()
        if dims.envs:
            arrays[ATTENTION][place][..., : compression.sources] = self._attention(compression).cpu().numpy()

    def _attention(self, compression: Compression) -> torch.Tensor:
        """Return the kept environments' attention as float16."""
        dims, cross = self._dims, compression.packed.cross
        shape = (dims.layers, dims.heads, dims.latents, compression.sources)
        if cross is None or tuple(cross.shape[1:]) != shape:
            got = "none" if cross is None else str(tuple(cross.shape[1:]))
            raise CaptureInvalidError(
                f"the compressor's attention: expected [layer, head, latent, source] {shape}, got {got}"
            )
        kept = cross[torch.tensor(dims.envs, device=cross.device)]
        off = float((kept.sum(dim=-1) - 1).abs().max())
        if not off <= FAR:
            raise CaptureInvalidError(f"a row of the compressor's attention sums to 1 only within {off:.2g}")
        return kept.to(torch.float16)
