"""GPT-2's blocks as the Transformers library stores them: names, the order of axes, buffers of masks."""

from __future__ import annotations

import re
from typing import Final

import torch
from torch import Tensor

from attnscope_model.errors import CheckpointUnreadableError

CONV1D: Final = (".in_proj.weight", ".out_proj.weight", ".linear1.weight", ".linear2.weight")
"""Ends of names whose tensors GPT-2 holds as (in, out)."""

BLOCK_NAMES: Final = (
    (".ln_1.", ".norm1."),
    (".ln_2.", ".norm2."),
    (".attn.c_attn.", ".in_proj."),
    (".attn.c_proj.", ".out_proj."),
    (".mlp.c_fc.", ".linear1."),
    (".mlp.c_proj.", ".linear2."),
)
"""Parts of the names of a block, and what they are called here."""

_MASKS: Final = re.compile(r".*\.attn\.(bias|masked_bias)")


def is_mask(name: str, tensor: Tensor) -> bool:
    """Return whether a tensor is a buffer of a causal mask, which older files hold.

    Raises
    ------
    CheckpointUnreadableError
        The mask is another one.
    """
    if _MASKS.fullmatch(name) is None:
        return False
    slots = tensor.shape[-1] if tensor.ndim else 0
    if name.endswith(".bias") and not torch.equal(
        tensor.bool(), torch.ones(slots, slots).tril().bool().view(1, 1, slots, slots)
    ):
        raise CheckpointUnreadableError(f"{name}: expected a causal mask, true where a slot is seen")
    return True
