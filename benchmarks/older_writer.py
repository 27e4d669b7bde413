"""The writer of an older version, run from its own source beside the present one: prints its cost as JSON.

`python -m benchmarks.older_writer STEPS`, with the older version's ``storage`` folder first on PYTHONPATH.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from attnscope_storage.kinds.capture.schema import CaptureDims, build_schema
from attnscope_storage.writing.writer import CaptureWriter
from benchmarks.rows import softmax_rows
from benchmarks.timing import measured

SIZES = {"envs": 8, "layers": 12, "heads": 12, "slots": 1024}


def main(steps: int) -> None:
    """Write so many steps of the first layout and print their cost."""
    every, layers = tuple(range(SIZES["envs"])), tuple(range(SIZES["layers"]))
    of_rows = {"row_envs": every, "row_layers": layers, "row_heads": tuple(range(SIZES["heads"])), "row_every": 1}
    others = {"actions": 5, "observation_shape": (2,), "observation_dtype": "int32", "map_steps": (), "map_envs": every}
    schema = build_schema(CaptureDims(steps=1000, **SIZES, **of_rows, **others))
    rows = softmax_rows((SIZES["envs"], SIZES["layers"], SIZES["heads"], SIZES["slots"]))
    static = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in schema.arrays.values() if spec.growth == "static"}
    drawn = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        writer = CaptureWriter.create(Path(folder) / "older.zarr", schema, {}, static)
        with writer, measured() as cost:
            for _ in range(steps):
                block = writer.acquire()
                for name, place in block.arrays.items():
                    statistic = name.startswith("stats/")
                    place[:] = rows if name == "attention/rows" else drawn.random(place.shape) if statistic else 0
                block.steps = 1
                writer.submit(block)
            writer.close(complete=False)
    print(json.dumps(vars(cost)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
