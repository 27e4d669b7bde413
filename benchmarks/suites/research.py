"""Long contexts and research shapes: a decision with its rows, with and without numba, beside Hugging Face's GPT-2.

Random weights, a full window, one torch thread. GPT-2 of the same layers, heads, width and context computes its
attention eagerly and returns every layer's whole map (`output_attentions`), as is usual where rows are wanted. Without
the extra ``hf`` the peer is left out.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from attnscope_model.acting.deciding import Decider
from attnscope_model.families.reference import ReferenceConfig, ReferencePolicy
from attnscope_model.forward.fused import prefer_fused
from benchmarks.subject import CPU
from benchmarks.timing import Cost, measured, ratios, rounds, shown, spread

LENGTHS = (160, 320, 640, 1024, 2048)
"""Tokens of a context, of the reference's shape otherwise: 4 layers, 4 heads, width 32."""

SHAPES = {
    "L8 H8 d512": ReferenceConfig(512, 8, 8, 512, 2048, 9, 5, causal=True),
    "L12 H12 d768": ReferenceConfig(768, 12, 12, 1024, 3072, 9, 5, causal=True),
}
"""Policies of research size, at 512 and 1,024 tokens."""

NUMBA, PLAIN, PEER = "attnscope", "attnscope without numba", "GPT-2 with output_attentions"


def ours(config: ReferenceConfig, envs: int, count: int, *, numba: bool) -> Callable[[], Cost]:
    """Return a run of decisions at a full window, rows recorded; its cost is in milliseconds per env-step."""
    torch.manual_seed(0)
    policy = ReferencePolicy(config).eval().requires_grad_(requires_grad=False)
    prefer_fused(policy, CPU, allowed=numba)
    decider = Decider(policy, envs, CPU)
    cells, zeros = np.full((envs, 2), 4), np.zeros(envs, np.int64)
    with torch.inference_mode():
        for _ in range(decider.window.capacity + 1):
            decider.append(cells, zeros, zeros, cells)

    def run() -> Cost:
        with torch.inference_mode(), measured() as cost:
            for _ in range(count):
                decider.decide(cells, rows=True)
        return per_env_step(cost, envs * count)

    return run


def peer(config: ReferenceConfig, envs: int, count: int) -> Callable[[], Cost]:
    """Return a run of GPT-2's forwards over embedded contexts of the same size."""
    library = importlib.import_module("transformers")
    shape = library.GPT2Config(
        n_layer=config.layers,
        n_head=config.heads,
        n_embd=config.width,
        n_inner=config.feedforward,
        n_positions=config.context_length,
        vocab_size=config.actions,
        attn_implementation="eager",
    )
    model = library.GPT2Model(shape).eval().requires_grad_(requires_grad=False)
    tokens = torch.randn(envs, config.context_length, config.width)

    def run() -> Cost:
        with torch.inference_mode(), measured() as cost:
            for _ in range(count):
                found = model(inputs_embeds=tokens, output_attentions=True, use_cache=False)
                torch.stack([whole[:, :, -1] for whole in found.attentions], dim=1)
        return per_env_step(cost, envs * count)

    return run


def per_env_step(cost: Cost, env_steps: int) -> Cost:
    """Return a cost in milliseconds per environment and step."""
    return Cost(1e3 * cost.wall / env_steps, 1e3 * cost.cpu / env_steps)


def compared(name: str, config: ReferenceConfig, envs: int, count: int, tries: int) -> dict[str, Any]:
    """Print and return what a decision takes each way."""
    runs = {NUMBA: ours(config, envs, count, numba=True), PLAIN: ours(config, envs, count, numba=False)}
    if importlib.util.find_spec("transformers") is not None:
        runs[PEER] = peer(config, envs, count)
    results: dict[str, Any] = {"envs": envs}
    taken = rounds(runs, tries)
    for way, costs in taken.items():
        over = ratios(costs, taken[NUMBA], "cpu")
        results[way] = {"cpu_ms_per_env_step": spread([cost.cpu for cost in costs]), "over_attnscope_cpu": over}
        print(
            f"   {name:<24} {envs} envs  {way:<30}{shown(results[way]['cpu_ms_per_env_step'], 2):<28} ms of processor, "
            f"× {shown(over)} of attnscope's"
        )
    return results


def run(*, quick: bool) -> dict[str, Any]:
    """Compare by context length, then the research shapes."""
    torch.set_num_threads(1)
    tries, results = 1 if quick else 3, {}
    for length in LENGTHS[: 2 if quick else None]:
        config = ReferenceConfig(32, 4, 4, length, 128, 9, 5, causal=True)
        count = max(1, 1600 // length)
        results[f"T {length}"] = compared(f"T {length}, L4 H4 d32", config, 4, count, tries)
    for name, config in SHAPES.items() if not quick else ():
        title = f"{name} T{config.context_length}"
        results[title] = compared(title, config, 1, 1, tries)
    return results
