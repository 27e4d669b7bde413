"""The process that tries an installed compressor on a policy; one line of standard output is its answer."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.compression.packing_policy import tried_compressor
from attnscope_model.errors import CheckpointError, CompressionUnfitError
from attnscope_server.capturing.compressor import Tried


def answer(folder: Path, name: str) -> Tried:
    """Return how the compressor of this name packs for the policy in a folder, or why it does not."""
    try:
        return Tried(found=tried_compressor(name, load_policy(folder, torch.device("cpu"))))
    except (CheckpointError, CompressionUnfitError) as error:
        return Tried(refused=str(error))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):  # a foreign package may print
        tried = answer(Path(sys.argv[1]), sys.argv[2])
    print(tried.model_dump_json())  # noqa: T201 - the answer
