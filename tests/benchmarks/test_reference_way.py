"""The baseline of the benchmarks is the reference: its maps, logits and rollouts are those of the golden files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import registry
from benchmarks.reference_way import EncoderPolicy, roll_out, store
from benchmarks.rooms import ProcessRooms

from attnscope_model.checkpoints.native import load_tensors
from attnscope_model.checkpoints.registry import CheckpointRegistry
from reading_here import reading_here

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="module", params=["causal", "noncausal"])
def pair(request, tmp_path_factory):
    """Return the baseline with a golden checkpoint's weights, and the golden file."""
    torch.set_num_threads(1)
    causal = request.param == "causal"
    checkpoints = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    with reading_here():
        info = checkpoints.add(GOLDEN / f"ckpt-{request.param}.pt", causal=causal)
    policy = EncoderPolicy(load_tensors(checkpoints.folder(info.id)), heads=info.policy.heads, causal=causal)
    return policy, dict(np.load(GOLDEN / f"golden-{request.param}.npz"))


def test_maps_of_a_full_context_equal_the_golden_file(pair):
    """Every layer's whole map agrees to 1e-5, and so do the logits of the second pass."""
    policy, golden = pair
    full = policy.context_length
    with torch.no_grad():
        token = policy.embed(
            *(torch.from_numpy(golden[f"context_{part}"][: full - 1]) for part in ("states", "actions")),
            torch.from_numpy(golden["context_rewards"][: full - 1]).float(),
            torch.from_numpy(golden["context_next_states"][: full - 1]),
        )
        row, column = golden["query_state"]
        query = policy.embed_query_state(torch.tensor([row * policy.size + column]))[None]
        tokens = torch.cat([token.transpose(0, 1), query], dim=1)
        maps, logits = np.stack(policy.attention(tokens), axis=1), policy(tokens)
    assert np.abs(maps[0] - golden[f"attention_{full}"]).max() < 1e-5
    assert np.abs(logits[0].numpy() - golden[f"logits_{full}"]).max() < 1e-5


def test_a_greedy_rollout_in_another_process_equals_the_golden_file(pair, tmp_path):
    """Actions, rewards and logits over episode ends; every map is kept, and pickled at the end."""
    policy, golden = pair
    rooms = ProcessRooms([tuple(golden["goal"].tolist())])
    try:
        run = roll_out(policy, rooms, 45, capture=True, greedy=True)
    finally:
        rooms.close()
    assert np.array_equal(np.concatenate(run.actions), golden["greedy_actions"][:45])
    assert np.array_equal(np.concatenate(run.rewards), golden["greedy_rewards"][:45])
    assert np.abs(np.concatenate(run.logits) - golden["greedy_logits"][:45]).max() < 1e-5
    assert [maps[0].shape[-1] for maps in run.maps] == list(range(1, 46))
    store(run, tmp_path)
    assert (tmp_path / "attention_history.pkl").stat().st_size > run.nbytes


def test_every_suite_has_a_title_and_a_run():
    """A suite is a file with a docstring and `run`, found by its name."""
    assert {"capture", "overhead"} <= set(registry.names())
    for name in registry.names():
        suite = registry.suite(name)
        assert registry.title(suite)
        assert callable(suite.run)
