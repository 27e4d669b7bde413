"""Measure something of your own on a downloaded capture, with an interval that resamples rollouts.

Run it on what ``attnscope fetch`` wrote: ``python examples/measure_it_yourself.py capture-….zarr``.
"""

import sys

import numpy as np

import attnscope
from attnscope.measures import positions_for_mass, uniform_rows
from attnscope.measures.intervals import Resampling, default_scope

capture = attnscope.open(sys.argv[1])
full = capture.policy.context_length

# One head at every tenth step whose context is full: [step, env, layer, head, slot].
length = capture.context.length[::10]
rows = capture.rows[::10][:, :, :1, :1]
counts = length == full
if not counts.any():
    sys.exit("the context never fills in this capture")

# One number a rollout: the mean over its steps. Steps of one rollout depend on each other and are never resampled.
needed = positions_for_mass(rows, length, (0.8,))[..., 0, 0, 0]
of_rollout = np.where(counts, needed, np.nan)
of_rollout = np.nanmean(of_rollout, axis=0)

task = capture.env.task[:]
estimate = Resampling(task, default_scope(task)).estimate(of_rollout)
uniform = positions_for_mass(uniform_rows(np.array([full]), full), np.array([full]), (0.8,)).item()
print(f"layer 0, head 0 of {capture.resolved.checkpoint_name}: 80 % of its attention lies in {estimate} positions;")
print(f"uniform attention over {full} tokens needs {uniform:.0f}")
