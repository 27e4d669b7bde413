"""Files of policies that pack their older history: ways of saving them, and what is refused with the reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import CheckpointError, StatementMissingError
from forwards.packing_layouts import PACKING

pytestmark = pytest.mark.usefixtures("parsed_here", "_outside_inference_mode")


def saved(path, name, state=(), drop=(), **config):
    """Save a file with other tensors or another configuration; `...` leaves a word out."""
    content = PACKING[name].content()
    content["model"] = {key: value for key, value in (content["model"] | dict(state)).items() if key not in drop}
    said = content["config"] | config
    content["config"] = {key: value for key, value in said.items() if value is not ...}
    torch.save(content, path)
    return path


@pytest.mark.parametrize("name", PACKING)
def test_a_best_model_and_compiled_weights_are_those_of_the_checkpoint(empty, tmp_path, name):
    """The evaluation's return is a NumPy scalar beside the weights; a compiled model's names have a prefix."""
    plain = empty.add(saved(tmp_path / "ckpt-60000.pt", name), name="plain")
    content = PACKING[name].content(prefix="_orig_mod.") | {"eval_reward": np.float64(3.5)}
    torch.save(content, tmp_path / "best-model.pt")
    best = empty.add(tmp_path / "best-model.pt", name="best")
    assert best.policy == plain.policy
    policies = [load_policy(empty.folder(info.id), torch.device("cpu")) for info in (plain, best)]
    tokens = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(policies[0](tokens, 3), policies[1](tokens, 3))
    assert not torch.equal(policies[0](tokens, 3), policies[0](tokens)) or name == "rad-packing"


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("cad", {"pretrain_timesteps": 1000}, "a file of pre-training: .* so it is no policy; add a ckpt"),
        ("rad-packing", {"pretrain_timesteps": 1000}, "a file of pre-training"),
        ("cad", {"n_compress_tokens": 5}, "says n_compress_tokens 5, its tensors say 3"),
        ("cad", {"n_transit": 24}, "says n_transit 24, its tensors say 12"),
        ("rad-packing", {"rad_max_seq_length": 40}, "says rad_max_seq_length 40, its tensors say 20"),
        ("rad-packing", {"tf_n_inner": 64}, "says tf_n_inner 64, its tensors say 128"),
        ("cad", {"compress_n_heads": 5}, "expected a divisor of the width 32, got 5"),
        ("cad", {"env": "darkroompermuted"}, "no preset describes its environment"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(empty, tmp_path, name, changes, reason):
    """Files of pre-training, sizes that contradict the tensors, heads that do not divide the width."""
    with pytest.raises(CheckpointError, match=reason):
        empty.add(saved(tmp_path / "run.pt", name, **changes))
    assert empty.list() == []


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("cad", {"compression_transformer.compress_queries": torch.zeros(1, 11, 32)}, "got 11 latents and 12 slots"),
        ("cad", {"compression_transformer.context_pos_embedding": torch.zeros(1, 10, 32)}, "got 10 for 11 tokens"),
        ("rad-packing", {"compression_transformer.context_pos_embedding": torch.zeros(1, 21, 32)}, "21 for 22 tokens"),
    ],
)
def test_a_compressor_that_does_not_fit_its_policy_is_refused(empty, tmp_path, name, state, reason):
    """Latents that leave no slot for a transition, compressions of more tokens than have positions."""
    with pytest.raises(CheckpointError, match=reason):
        empty.add(saved(tmp_path / "run.pt", name, state, n_compress_tokens=...))


def test_heads_of_the_compressor_are_not_guessed(empty, tmp_path):
    """A bare state dict asks for them; a configuration that names latents alone has the repository's fallback."""
    torch.save(PACKING["cad"].state(), tmp_path / "bare.pt")
    with pytest.raises(StatementMissingError, match="state compress_n_heads, the compressor's heads, by --config"):
        empty.add(tmp_path / "bare.pt", heads=4, preset="darkroom-reference")
    (tmp_path / "bare.pt.json").write_text(json.dumps({"compress_n_heads": 2}))
    info = empty.add(tmp_path / "bare.pt", heads=4, preset="darkroom-reference", name="bare")
    assert json.loads((empty.folder(info.id) / "config.json").read_text())["compressor_heads"] == 2
    usual = empty.add(saved(tmp_path / "usual.pt", "cad", compress_n_heads=...), name="usual")
    assert json.loads((empty.folder(usual.id) / "config.json").read_text())["compressor_heads"] == 4


def test_key_to_door_names_its_own_split(empty, tmp_path):
    """The environment is the preset's; that its tasks were split otherwise is noted."""
    path = saved(tmp_path / "run.pt", "cad", env="dark_key_to_door", horizon=50, env_split_seed=0, train_env_ratio=0.95)
    info = empty.add(path)
    assert info.preset == "key-to-door"
    assert any("split tasks by seed 0" in note for note in info.notes)


def test_an_encoder_that_folds_in_every_step_is_refused(empty, tmp_path):
    """CCCAD_Meta's class of the same name is another layout."""
    names = ("encoder.query_tokens", "transformer_decoder.layers.0.linear1.weight", "pos_embedding")
    torch.save({name: torch.zeros(2) for name in names}, tmp_path / "meta.pt")
    with pytest.raises(CheckpointError, match="the compressing AD of CCCAD_Meta is not supported"):
        empty.add(tmp_path / "meta.pt")
