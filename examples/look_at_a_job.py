"""Look at the newest job from Python: how far it is, what it earned, and the first pictures.

Run it with a service at hand: ``python examples/look_at_a_job.py pictures``.
"""

import sys
from pathlib import Path

import attnscope
from attnscope.figures.comprehensive import comprehensive
from attnscope.figures.heatmap import heatmap
from attnscope.figures.style import save
from attnscope.study import study

out = Path(sys.argv[1] if len(sys.argv) > 1 else "pictures")

with attnscope.connect() as service:
    job = service.job("last")
    print(job)
    capture = job.capture()
    print(capture)
    print("return by episode:", capture.returns().mean(axis=0).round(2).tolist())

    # A few hundred kilobytes: one sampled map at drawing precision.
    step = capture.map_steps()[-1]
    print("wrote", save(heatmap(capture, step), out / f"attention_heatmap_step{step}.png"))

    # A stated sample of steps, measured once, carries every other figure.
    print("wrote", save(comprehensive(study(capture)), out / "attention_analysis_comprehensive.png"))
