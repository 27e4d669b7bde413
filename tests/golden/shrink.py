"""Make `golden-noncausal.npz` small enough to commit: keep the greedy rows of every fourth step.

Run as ``python tests/golden/shrink.py SOURCE``; the kept steps are in ``greedy_row_steps``. Nothing else changes.
"""

import sys
from pathlib import Path

import numpy as np

source = dict(np.load(sys.argv[1]))
steps = np.arange(0, len(source["greedy_rows"]), 4)
source["greedy_rows"] = source["greedy_rows"][steps]
np.savez_compressed(Path(__file__).parent / "golden-noncausal.npz", greedy_row_steps=steps, **source)
