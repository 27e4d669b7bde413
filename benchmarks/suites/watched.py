"""Attention of a module that is not ours: a forward that is recorded over one that is not, by length of the context.

The module calls torch's attention as other people's do, so its rows are noted from outside. Whole maps, which were
noted at every decision before, stand beside: they are taken at sampled steps only. The rows are held against the maps'.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.forward.watched import WatchedPolicy
from attnscope_storage.wire import PolicyDescription
from benchmarks.timing import Cost, ratios, rounds, shown

ENVS = {256: 4, 1024: 2, 2048: 1}
"""Contexts of a batch, by their tokens; whole maps of more would take gigabytes."""

WIDTH, LAYERS, HEADS, ACTIONS = 64, 4, 4, 5


class Block(nn.Module):
    """A pre-norm block over torch's attention."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.stacked, self.joined = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.inner, self.outer = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Float[Tensor, "env token width"]) -> Float[Tensor, "env token width"]:
        """Return the block's output."""
        parts = self.stacked(self.norms[0](x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.joined(attended.transpose(1, 2).flatten(2))
        added: Tensor = self.outer(functional.gelu(self.inner(self.norms[1](x))))
        return x + added


class Foreign(WatchedPolicy):
    """A policy around a module that knows nothing of attnscope."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, ACTIONS)
        self.description = PolicyDescription(
            family="benchmark-foreign",
            layers=LAYERS,
            heads=HEADS,
            width=WIDTH,
            context_length=tokens,
            actions=ACTIONS,
            causal=True,
            positions="none",
            query_slot="last",
            tokens_per_transition=1,
            observation="vector",
            parameters=sum(parameter.numel() for parameter in self.parameters()),
        )

    def embed_transition(self, observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> Tensor:
        """Refuse: the suite hands whole contexts over."""
        raise NotImplementedError

    def embed_query(self, observation: Tensor) -> Tensor:
        """Refuse: the suite hands whole contexts over."""
        raise NotImplementedError

    def run(self, tokens: Float[Tensor, "env token width"]) -> Float[Tensor, "env action"]:
        """Return the logits by the module."""
        for block in self.blocks:
            tokens = block(tokens)
        logits: Tensor = self.head(tokens[:, -1])
        return logits


def compared(tokens: int, envs: int, count: int, repeats: int) -> dict[str, Any]:
    """Compare three forwards at one length: not recorded, its rows recorded, its whole maps recorded."""
    policy = Foreign(tokens).eval()
    context = torch.randn(envs, tokens, WIDTH, generator=torch.Generator().manual_seed(1))

    def forward(*, taped: bool, maps: bool = False) -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(repeats):
            if taped:
                with AttentionTape(policy, maps=maps):
                    policy(context)
            else:
                policy(context)
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)

    runs = {
        "untaped": lambda: forward(taped=False),
        "rows": lambda: forward(taped=True),
        "maps": lambda: forward(taped=True, maps=True),
    }
    taken = rounds(runs, count)
    with AttentionTape(policy) as rows:
        policy(context)
    with AttentionTape(policy, maps=True) as maps:
        policy(context)
    apart = float((rows.rows - maps.rows).abs().max())
    over = {name: ratios(taken[name], taken["untaped"], "cpu") for name in ("rows", "maps")}
    return {"tokens": tokens, "over_untaped": over, "rows_apart": apart}


def run(*, quick: bool) -> dict[str, Any]:
    """Compare at every length."""
    lengths, count, repeats = ({256: 1}, 1, 1) if quick else (ENVS, 5, 2)
    print(f"   L {LAYERS}, H {HEADS}, d {WIDTH}, causal; processor time over a forward without a tape")
    results = []
    with torch.inference_mode():
        for tokens, envs in lengths.items():
            found = compared(tokens, envs, count, repeats)
            results.append(found)
            rows, maps = (shown(found["over_untaped"][name]) for name in ("rows", "maps"))
            size, apart = f"T {tokens:>5}, {envs} envs", found["rows_apart"]
            print(f"   {size}   rows × {rows}   whole maps × {maps}   rows apart {apart:.1e}")
    return {"lengths": results}
