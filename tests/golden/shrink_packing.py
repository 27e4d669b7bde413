"""Make `cad` and `rad` small enough to commit: fewer golden rows, and zeros where no golden number depends on a weight.

Run as ``python tests/golden/shrink_packing.py FOLDER``, which holds ``cad`` and ``rad`` as they were generated. Nothing
else changes: names, shapes and the other values stay, so that the files are read as their trainers wrote them.
"""

from __future__ import annotations

import io
import lzma
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
POSITIONS = 64
"""Positions of the compressor that a golden compression may use."""

ROLLOUT = ("goal", "observation", "action", "reward", "next_observation", "done", "logits", "tokens", "latent_tokens")
COMPRESSIONS = ("compression_step", "compression_input_tokens")
FIRST = 4
"""Compressions whose latents and attention are kept."""


def shrink(name: str, source: Path) -> None:
    """Write the file and the numbers of one policy."""
    packed = next(source.glob("ckpt-*"))
    raw = lzma.decompress(packed.read_bytes()) if packed.suffix == ".xz" else packed.read_bytes()
    content = torch.load(io.BytesIO(raw), weights_only=True)
    for key, tensor in content["model"].items():
        if key.endswith("context_pos_embedding"):
            tensor[:, POSITIONS:] = 0
        elif key.startswith("reconstruction_decoder."):
            tensor.zero_()
    out = io.BytesIO()
    torch.save(content, out)
    (HERE / name / "ckpt-50000.pt.xz").write_bytes(lzma.compress(out.getvalue(), preset=9))
    golden = dict(np.load(source / "golden.npz"))
    compressed = golden["compression_step"]
    near = {int(step) + offset for step in compressed[:FIRST] for offset in (-1, 0, 1, 2)}
    steps = np.array(sorted(near | set(range(0, len(golden["rows"]), 16))))
    kept = {key: golden[key] for key in (*ROLLOUT, *COMPRESSIONS)}
    kept |= {"row_step": steps, "rows": golden["rows"][steps]}
    kept |= {key: golden[key][:FIRST] for key in ("latents", "compression_cross", "compression_self_mean")}
    maps = {"cad": ("plain_6", "latent_0", "latent_11"), "rad": ("plain_6", "latent_0", "latent_5")}[name]
    contexts = [key for key in golden if key.startswith(("context_", "query_", "logits_training_"))]
    kept |= {key: golden[key] for key in contexts}
    kept |= {f"{part}_{which}": golden[f"{part}_{which}"] for which in maps for part in ("logits", "attention")}
    np.savez_compressed(HERE / name / "golden.npz", **kept)


if __name__ == "__main__":
    for which in ("cad", "rad"):
        shrink(which, Path(sys.argv[1]) / which)
