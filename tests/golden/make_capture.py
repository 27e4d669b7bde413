"""Write the golden capture: a tiny finished capture as the newest schema version stores it, and its arrays beside it.

Run once per schema version, by the code of that version::

    python tests/golden/make_capture.py

It refuses to touch a golden capture that exists: what an old version wrote can only be written by that version.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

from attnscope_storage.layout.store_schema import SCHEMA_VERSION
from attnscope_storage.reading.reader import CaptureReader

HERE = Path(__file__).parent


def main() -> None:
    """Write ``capture-v<version>`` and ``capture-v<version>.npz`` beside this file."""
    spec = importlib.util.spec_from_file_location("rollout", HERE.parent / "storage" / "rollout.py")
    assert spec is not None
    assert spec.loader is not None
    rollout = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rollout)

    path = HERE / f"capture-v{SCHEMA_VERSION}"
    if path.exists():
        sys.exit(f"{path} exists; an old capture is never written again")
    schema = rollout.schema(steps=6, row_layers=(1,), map_steps=(2,), bin_envs=(0, 1), curve=True)
    rollout.write(path, schema)
    path.with_name(path.name + ".lock").unlink()
    # The values as the rollout made them, not as the reader reads them.
    blocks = [rollout.StepBlock(schema) for _ in range(0, 6, schema.flush_steps)]
    for first, block in zip(range(0, 6, schema.flush_steps), blocks, strict=True):
        rollout.fill(block, schema, first, min(schema.flush_steps, 6 - first))
    arrays = {name: np.concatenate([block.arrays[name] for block in blocks])[:6] for name in blocks[0].arrays}
    arrays |= rollout.static(schema)
    maps = [sampled for block in blocks for sampled in block.maps]
    arrays["attention/map_step"] = np.array([step for step, _ in maps], np.int32)
    arrays["attention/maps"] = np.stack([values for _, values in maps])
    np.savez_compressed(HERE / f"{path.name}.npz", **arrays)
    print(f"{path}: {len(CaptureReader.open(path).names())} arrays")  # noqa: T201  # a program that reports


if __name__ == "__main__":
    main()
