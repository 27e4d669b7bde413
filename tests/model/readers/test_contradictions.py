"""Configurations that contradict the tensors, the statements or themselves: refused, never read past silently."""

from __future__ import annotations

import json

import pytest
import torch

from attnscope_model.checkpoints.registry import inspect
from attnscope_model.errors import CheckpointError
from attnscope_model.readers.presets import FACTS, split_note
from forwards.layouts import LAYOUTS

pytestmark = pytest.mark.usefixtures("parsed_here", "_outside_inference_mode")


LINEAGE = ("reference", "dicp-ad", "dicp-dpt", "cccad", "rad")
"""Layouts whose configuration is the AD reference's."""


def added(registry, folder, name, config, **stated):
    """Add a file of this layout whose configuration is changed."""
    layout, path = LAYOUTS[name], folder / "m.pt"
    content = layout.content()
    if layout.bare:
        (folder / "m.pt.json").write_text(json.dumps({**layout.config, **config}))
    else:
        content["config"].update(config)
    torch.save(content, path)
    return registry.add(path, **{**layout.stated, **stated})


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        *((name, {"tf_n_embd": 64}, "says tf_n_embd 64, its tensors say 32") for name in LINEAGE),
        *((name, {"tf_n_layer": 9}, "says tf_n_layer 9, its tensors say 3") for name in LINEAGE),
        *((name, {"dim_states": 3}, "says dim_states 3, its tensors say 2") for name in LINEAGE),
        ("reference", {"n_transit": 80}, "says n_transit 80, its tensors say 24"),
        ("cccad", {"n_transit": 80}, "says n_transit 80, its tensors say 24"),
        ("rad", {"n_transit": 24}, "says n_transit 24, its tensors say 8"),
        ("reference", {"tf_dim_feedforward": 64}, "says tf_dim_feedforward 64, its tensors say 128"),
        ("reference", {"causal": True}, "its config says causal True, but the answer is False"),
        ("dicp-ad", {"causal": False}, "its config says causal False, but the answer is True"),
        ("dicp-ad", {"env_name": "darkroompermuted"}, "names two environments: darkroom-permuted, darkroom-reference"),
        ("ad-eps", {"seq_len": 80}, "says seq_len 80, its tensors say 8"),
        ("ad-eps", {"hidden_dim": 512}, "says hidden_dim 512, its tensors say 32"),
        ("cinemere-pre", {"embedding_dim": 64}, "says embedding_dim 64, its tensors say 16"),
        ("cinemere-pre", {"num_layers": 4}, "says num_layers 4, its tensors say 3"),
        ("cinemere-pre", {"env": "key2door"}, "trained with env 'key2door': no preset describes its environment"),
        ("cinemere-pre", {"mode": "argmax"}, "config mode: expected mode or sample, got 'argmax'"),
        ("dpt", {"n_embd": 64}, "says n_embd 64, its tensors say 32"),
        ("dpt", {"horizon": 100}, "says horizon 100, its tensors say 23"),
        ("dpt", {"dim": 9}, "trained with grid_size 9, but the preset darkroom-dpt has 10"),
        ("dpt", {"env": "darkroom_permuted"}, "trained with env 'darkroom_permuted': no preset describes"),
    ],
)
def test_a_configuration_that_contradicts_is_refused(empty, tmp_path, name, config, reason):
    """Whoever is wrong, file or configuration, nothing is made of the two; the reason names both."""
    with pytest.raises(CheckpointError, match=reason):
        added(empty, tmp_path, name, config)
    assert list(empty.root.iterdir()) == []


def test_a_configuration_that_fits_is_no_contradiction(empty, tmp_path):
    """The sizes of published configurations are those of their tensors."""
    sizes = {"tf_n_embd": 32, "tf_n_layer": 3, "dim_states": 2}
    for name, length in (("reference", 24), ("cccad", 24), ("rad", 8)):
        assert added(empty, tmp_path, name, {**sizes, "n_transit": length}).policy.layers == 3
    sizes = {"embedding_dim": 16, "hidden_dim": 32, "num_layers": 3, "seq_len": 8}
    for name in ("ad-eps", "cinemere-post"):
        assert added(empty, tmp_path, name, sizes).policy.width == 32


@pytest.mark.parametrize("name", ["rad", "dpt"])
def test_a_mask_in_a_gpt2_file_is_causal_or_refused(empty, tmp_path, name):
    """Its buffers are dropped only after they were seen to say what the family says."""
    state = dict(LAYOUTS[name].state())
    mask = next(key for key in state if key.endswith("h.1.attn.bias"))
    state[mask] = torch.ones_like(state[mask])
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"h\.1\.attn\.bias: expected a causal mask"):
        empty.add(tmp_path / "m.pt", heads=4, **({"preset": "darkroom-dpt"} if name == "dpt" else {}))


def test_a_submodule_compiled_by_itself_is_the_same_checkpoint(empty, tmp_path):
    """torch.compile of the encoder alone leaves its mark inside the names."""
    content = LAYOUTS["reference"].content()
    torch.save(content, tmp_path / "plain.pt")
    inner = "transformer_encoder."
    content["model"] = {name.replace(inner, f"{inner}_orig_mod."): kept for name, kept in content["model"].items()}
    torch.save(content, tmp_path / "inner.pt")
    plain = empty.add(tmp_path / "plain.pt", causal=True)
    assert empty.add(tmp_path / "inner.pt", causal=True).id == plain.id


def test_how_cinemeres_evaluation_acted_is_read_and_may_be_chosen_anew(empty, tmp_path):
    """Its configuration says how it acted; how to act is a choice, so another is no contradiction, and is recorded."""
    sampled = added(empty, tmp_path, "cinemere-pre", {"mode": "sample"})
    assert (sampled.sampling, sampled.stated) == ("sample", {})
    greedy = added(empty, tmp_path, "cinemere-pre", {"mode": "sample"}, sampling="greedy")
    assert (greedy.sampling, greedy.stated) == ("greedy", {"sampling": "greedy"})


def test_another_split_than_the_presets_is_noted(empty, tmp_path):
    """A policy trained on other tasks than the preset's is taken, and everybody who looks is told."""
    info = added(empty, tmp_path, "reference", {"env_split_seed": 5, "train_env_ratio": 0.9})
    note = "by seed 5 and ratio 0.9, the preset darkroom-reference by 0 and 0.9"
    assert any(note in one for one in info.notes)
    assert note in inspect(tmp_path / "m.pt")["note"]
    assert split_note("darkroom-reference", {"env_split_seed": 0, "train_env_ratio": 0.9}) is None
    assert split_note("darkroom-ad-eps", {"env_split_seed": 5}) is None
    assert {name for name, facts in FACTS.items() if facts.split} == {
        "darkroom-reference",
        "darkroom-permuted",
        "key-to-door",
    }
