"""The arithmetic of a policy's forward: float32 unless a capture asks for less, which only a GPU has.

``tf32`` lowers matrix products alone. ``bfloat16`` is torch's autocast: the results of products are bfloat16 too, so
queries, keys, values and the scores of rows are, and what a family computes between two products may be (SwiGLU is; the
blocks with GELU compute GELU and residual sums in float32). Softmax, norms, logits and what is stored are float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from attnscope_server.acting.errors import PrecisionUnavailableError

Precision = Literal["float32", "tf32", "bfloat16"]


def refuse_unavailable(wanted: Precision, device: torch.device) -> None:
    """Refuse a precision that the device has not.

    Raises
    ------
    PrecisionUnavailableError
        Less than float32 is asked for on a CPU.
    """
    if wanted != "float32" and device.type != "cuda":
        raise PrecisionUnavailableError(f"{wanted} needs a GPU, this worker runs on {device}; ask for float32")


@contextmanager
def precision(wanted: Precision, device: torch.device) -> Iterator[None]:
    """Compute at this precision inside the block; the module's docstring says which numbers it lowers."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if wanted == "tf32" else "highest")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=wanted == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
