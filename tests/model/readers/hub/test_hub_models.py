"""Language models of the Transformers library: logits and attention are those of the library's own forward."""

from __future__ import annotations

import json
import math

import pytest
import torch

from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.forward.cache import GrowingCache

CPU = torch.device("cpu")
MEASURED = {"gpt2": 4.9e-6, "llama": 5.5e-6, "bloom": 1.27e-5}
"""Largest distance of an independent forward in double precision from the library's; ten times that is allowed."""

pytestmark = pytest.mark.usefixtures("parsed_here")


def added(empty, folder):
    """Return the policy of a folder, through the registry."""
    return load_policy(empty.folder(empty.add(folder.path).id), CPU)


@pytest.mark.parametrize("kind", MEASURED)
def test_logits_and_maps_are_the_librarys(empty, folder, golden_of, kind):
    """At 1, 7 and 40 tokens every logit and every map agree."""
    policy, golden = added(empty, folder(kind)), golden_of(kind)
    embedded = policy.embedding(torch.from_numpy(golden["input_ids"]))
    for length in (1, 7, 40):
        with AttentionTape(policy, maps=True) as tape:
            logits = policy(embedded[:, :length])
        assert (logits - torch.from_numpy(golden[f"logits_{length}"])).abs().max() < 10 * MEASURED[kind]
        assert (tape.maps[0] - torch.from_numpy(golden[f"attention_{length}"])).abs().max() < 10 * MEASURED[kind]


@pytest.mark.parametrize("kind", MEASURED)
def test_a_growing_cache_gives_the_librarys_rows(empty, folder, golden_of, kind):
    """Token by token, as a rollout decides while its window grows, rows and logits agree."""
    policy, golden = added(empty, folder(kind)), golden_of(kind)
    embedded = policy.embedding(torch.from_numpy(golden["input_ids"]))
    cache = GrowingCache(policy, 40)
    for length in range(1, 41):
        with AttentionTape(policy) as tape:
            logits = cache.decide(embedded[:, cache.held : length])
        rows = torch.from_numpy(golden["rows"][length - 1, ..., :length])
        assert (tape.rows[0] - rows).abs().max() < 10 * MEASURED[kind]
        assert (logits - torch.from_numpy(golden["logits_all"][:, length - 1])).abs().max() < 10 * MEASURED[kind]


@pytest.mark.parametrize("kind", MEASURED)
def test_a_registered_folder_is_added_again_as_it_is(empty, folder, tmp_path, kind):
    """Its native form says all that the folder said, and is believed after the same checks."""
    info = empty.add(folder(kind).path)
    native = empty.folder(info.id)
    assert json.loads((native / "config.json").read_text())["said"]["model_type"] == kind
    assert type(empty)(tmp_path / "other").add(native).policy == info.policy


def scaled(golden, logits):
    """Return how far logits are from the golden ones."""
    return (logits - torch.from_numpy(golden["logits_7"])).abs().max()


@pytest.mark.parametrize(
    ("said", "factor"),
    [
        ({"scale_attn_weights": False}, lambda _: 2 * math.sqrt(2)),
        ({"scale_attn_by_inverse_layer_idx": True}, lambda layer: 1 / (layer + 1)),
    ],
)
def test_scores_are_scaled_as_the_configuration_says(empty, folder, golden_of, said, factor):
    """Both of GPT-2's other scales are those of weights whose queries were scaled by hand."""
    changed = folder("gpt2")
    changed.configure(**said)
    policy = added(empty, changed)
    changed.configure(scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    plain = added(empty, changed)
    embedded = plain.embedding(torch.from_numpy(golden_of("gpt2")["input_ids"]))[:, :7]
    assert scaled(golden_of("gpt2"), policy(embedded)) > 1e-2
    for layer, block in enumerate(plain.layers()):
        block.in_proj.weight[:32] *= factor(layer)
        block.in_proj.bias[:32] *= factor(layer)
    assert torch.allclose(policy(embedded), plain(embedded), atol=1e-5)


def test_a_tied_llama_reads_by_its_table(empty, folder):
    """The vocabulary's table is the head where the configuration ties them, stored once or twice."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - here only

    tied = folder("llama")
    tied.configure(tie_word_embeddings=True)
    weights = load_file(tied.path / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, tied.path / "model.safetensors")
    twice = empty.add(tied.path)
    del weights["lm_head.weight"]
    save_file(weights, tied.path / "model.safetensors")
    assert empty.add(tied.path).id == twice.id
    policy = load_policy(empty.folder(twice.id), CPU)
    x = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(policy.read(x), policy.final_norm(x) @ weights["model.embed_tokens.weight"].t(), atol=1e-6)


def test_older_files_say_the_rotary_base_at_the_top(empty, folder):
    """``rope_theta`` beside the other keys is the same configuration as within ``rope_parameters``."""
    first = folder("llama")
    newer = empty.add(first.path)
    first.configure(rope_parameters=..., rope_theta=10000.0)
    assert empty.add(first.path).id == newer.id
    first.configure(rope_theta=5000.0)
    assert empty.add(first.path).id != newer.id


def test_a_state_without_an_entry_is_refused_as_it_is_met(empty, folder):
    """A state, or a reward, that the vocabulary has no entry for is never another kind's entry."""
    wider = folder("gpt2")
    wider.declare(
        tokens=["state", "action", "reward"], states=20, actions=5, first_action=20, rewards=2, first_reward=25
    )
    policy = added(empty, wider)
    one, action = torch.tensor([[3]]), torch.tensor([1])
    assert policy.embed_transition(one, action, torch.ones(1), one).shape == (1, 3, 32)
    for state, reward, reason in (
        (torch.tensor([[20]]), 0.0, "a state lies beyond the 20"),
        (one, 2.0, "a reward lies beyond the 2"),
        (one, 0.5, "no whole number"),
    ):
        with pytest.raises(CaptureInvalidError, match=reason):
            policy.embed_transition(state, action, torch.tensor([reward]), one)


def test_a_cell_is_never_taken_for_another_one(empty, folder):
    """A column beyond the room's is no cell of the next row; further numbers, and real ones, are no part of a cell."""
    room = folder("gpt2")
    room.declare(observation="cell", grid_size=4, states=..., actions=5, first_action=20)
    policy = added(empty, room)
    assert policy.embed_query(torch.tensor([[3, 3]])).shape == (1, 1, 32)
    for cell, reason in (
        (torch.tensor([[0, 4]]), "a cell lies beyond the 4 rows and columns"),
        (torch.tensor([[1, -1]]), "a cell lies beyond the 4 rows and columns"),
        (torch.tensor([[1, 1, 1]]), "expected observations of 2 whole numbers.*gives 3 whole ones"),
        (torch.tensor([[1.0, 1.5]]), "expected observations of 2 whole numbers.*gives 2 real ones"),
    ):
        with pytest.raises(CaptureInvalidError, match=reason):
            policy.embed_query(cell)
