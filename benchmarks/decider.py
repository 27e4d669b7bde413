"""`python -m benchmarks.decider`: for each line `ENVS DECISIONS` of its input, decides with a full window, and tells.

It answers with the seconds of the clock and of the processor, all threads. Torch has as many threads as it likes.
"""

from __future__ import annotations

import sys

import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import shipped_checkpoints
from benchmarks.timing import measured

CHECKPOINT = "AD-absolute-darkroom-reference-seed0@6000"


def main() -> None:
    """Answer line by line."""
    [folder] = [one for one in shipped_checkpoints() if one.name == CHECKPOINT]
    policy = load_policy(folder, torch.device("cpu"))
    shape = policy.description
    with torch.inference_mode():
        for line in sys.stdin:
            envs, decisions = map(int, line.split())
            tokens = torch.zeros(envs, shape.context_length, shape.width)
            with measured() as cost:
                for _ in range(decisions):
                    policy(tokens)
            print(cost.wall, cost.cpu, flush=True)


if __name__ == "__main__":
    main()
