"""Files of policies that remember: what they do not say is asked for, and what is not computed is refused."""

from __future__ import annotations

import pytest
import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_model.errors import CheckpointError, StatementMissingError
from attnscope_model.readers.gin import read_gin
from forwards import layouts

pytestmark = pytest.mark.usefixtures("parsed_here", "_outside_inference_mode")


def trxl(path, state=(), **config):
    """Save a Transformer-XL with other tensors or arguments; `...` leaves one out."""
    layout = layouts.REMEMBERING["trxl"]
    changed = {name: tensor for name, tensor in (layout.state() | dict(state)).items() if tensor is not ...}
    said = {name: value for name, value in (dict(layout.config) | config).items() if value is not ...}
    torch.save({"model_weights": changed, "args": said}, path)
    return path


@pytest.mark.parametrize(
    ("state", "config", "reason"),
    [
        ({}, {"max_episode_steps": ...}, "state max_episode_steps, from which its positions count down"),
        ({}, {"trxl_positional_encoding": "rotary"}, "expected absolute, learned or none, got 'rotary'"),
        ({"actor_branches.1.weight": torch.ones(3, 32)}, {}, "makes 2 independent choices a step"),
        ({"actor_branches.2.weight": torch.ones(3, 32)}, {}, "tensors are missing: actor_branches.1.weight"),
        ({"actor_branches.99.weight": torch.ones(3, 32)}, {}, "expected branches between 1 and 64, got 100"),
        ({"encoder.0.weight": torch.ones(3, 3, 8, 8)}, {}, "its observations are pictures"),
        ({}, {"trxl_dim": 24}, "its config says trxl_dim 24, its tensors say 32"),
        ({}, {"trxl_positional_encoding": "learned"}, "tensors are missing: transformer.pos_embedding"),
    ],
)
def test_a_transformer_xl_that_is_not_computed_is_refused(empty, tmp_path, state, config, reason):
    """Pictures, branches without their tensors, positions that nobody says, sizes that contradict the tensors."""
    with pytest.raises(CheckpointError, match=reason):
        empty.add(trxl(tmp_path / "run.cleanrl_model", state, **config), preset="darkroom-reference")
    assert empty.list() == []


def test_several_branches_of_a_transformer_xl_are_read(empty, tmp_path):
    """Each branch has its own head; logits stand branch after branch, and a copy of the entry is the same policy."""
    random = torch.Generator().manual_seed(3)
    heads = {
        f"actor_branches.{branch}.weight": torch.randn(size, 32, generator=random) for branch, size in ((1, 3), (2, 2))
    }
    heads |= {name.replace("weight", "bias"): torch.zeros(len(head)) for name, head in heads.items()}
    info = empty.add(trxl(tmp_path / "run.cleanrl_model", heads), preset="some.listed.environment")
    assert (info.policy.actions, info.policy.output.branches) == (10, (5, 3, 2))
    again = type(empty)(tmp_path / "other").add(empty.folder(info.id))
    assert again.policy == info.policy
    plain = empty.add(trxl(tmp_path / "plain.cleanrl_model"), name="plain", preset="darkroom-reference")
    both = [
        load_policy(empty.folder(one.id), torch.device("cpu")).memory(1, torch.device("cpu")) for one in (info, plain)
    ]
    several, one = (memory.decide(torch.tensor([[0.5, -1.0]])) for memory in both)
    assert torch.equal(several.logits[:, :5], one.logits)
    assert several.logits.shape == (1, 10)
    assert torch.equal(several.rows, one.rows)


@pytest.mark.parametrize("encoding", ["learned", ""])
def test_other_positions_of_a_transformer_xl_are_read(empty, tmp_path, encoding):
    """A learnt table says the longest episode itself; without positions nothing has to be said."""
    table = {"transformer.pos_embedding": torch.zeros(20, 32)} if encoding else {}
    dropped = {"transformer.pos_embedding.inv_freqs": ...}
    path = trxl(tmp_path / "run.pt", table | dropped, trxl_positional_encoding=encoding, max_episode_steps=...)
    info = empty.add(path, preset="darkroom-reference")
    assert info.policy.positions == ("learned-absolute" if encoding else "none")
    assert (info.policy.window, info.policy.cleared) == ("memory", "episode")
    assert type(empty)(tmp_path / "other").add(empty.folder(info.id)).policy == info.policy


def test_positions_that_nothing_tells_are_asked_for(empty, tmp_path):
    """Sinusoids and no positions have the same tensors, so neither is taken for granted; a table tells itself."""
    path = trxl(tmp_path / "run.pt", {}, trxl_positional_encoding=...)
    with pytest.raises(StatementMissingError, match=r"state trxl_positional_encoding \(absolute, or an empty text"):
        empty.add(path, preset="darkroom-reference")
    table = {"transformer.pos_embedding": torch.zeros(20, 32), "transformer.pos_embedding.inv_freqs": ...}
    path = trxl(tmp_path / "table.pt", table, trxl_positional_encoding=..., max_episode_steps=...)
    assert empty.add(path, preset="darkroom-reference").policy.positions == "learned-absolute"


GIN = {
    "TformerTrajEncoder.pos_emb = 'fixed'": "",
    "TformerTrajEncoder.activation = 'leaky_relu'": "",
    "FFTstepEncoder.activation = 'leaky_relu'": "",
    "FFTstepEncoder.normalize_inputs = True": "",
    "Actor.activation = 'leaky_relu'": "",
}
"""Lines of a trainer's configuration."""


@pytest.mark.parametrize(
    ("line", "instead", "reason"),
    [
        ("TformerTrajEncoder.pos_emb = 'fixed'", "", "state TformerTrajEncoder.pos_emb by --config"),
        ("TformerTrajEncoder.pos_emb = 'fixed'", "TformerTrajEncoder.pos_emb = 'alibi'", "expected fixed or learnable"),
        ("", "TformerTrajEncoder.norm = 'rmsnorm'", "expected layer, got 'rmsnorm'"),
        ("", "FFTstepEncoder.hide_rl2s = True", "expected False, got 'True'"),
        ("", "Discrete.clip_prob_low = 2", "expected bounds of probabilities"),
        ("", "TformerTrajEncoder.d_model = 24", "its config says TformerTrajEncoder.d_model 24, its tensors say 32"),
        ("", "Agent.x = __import__('os').system('true')", "expected a plain value"),
        ("", "import os", "expected 'Class.key = value', each key once"),
        ("", "Actor.activation = 'relu'", "each key once"),
        ("", "Agent.x = \\\nAgent.y = 1", "line 7: expected 'Class.key = value'"),
        ("", "Agent.x = \\\n    __import__('os').system('true')", "line 7: expected a plain value"),
    ],
)
def test_an_amago_configuration_that_is_not_computed_is_refused(empty, tmp_path, line, instead, reason):
    """Positions and norms that are not computed, values that are no plain ones, lines that are none."""
    layout, path, config = layouts.REMEMBERING["amago"], tmp_path / "policy_epoch_1.pt", tmp_path / "config.txt"
    torch.save(layout.content(), path)
    config.write_text("\n".join([*(kept for kept in GIN if kept != line), "# a comment", instead]))
    with pytest.raises(CheckpointError, match=reason):
        empty.add(path, config=config, **layout.stated)
    assert empty.list() == []


LONG = [0.1, 0.9, 0.95, 0.97, 0.99, 0.995, 0.999, 0.9999]
EXPERIMENT = """
# Parameters for Experiment:
# ==============================================================================
Experiment.ckpt_base_dir = \\
    '/data/runs of several months/amago/dark-key-door/meta-horizon-500/seed-3'
Experiment.discounts = \\
    [0.1, 0.9, 0.95, 0.97,
     0.99, 0.995, 0.999, 0.9999]
Experiment.learning = {'rate': 1e-4}
Experiment.text = \\
    ('a text of many words that gin breaks '
     'at its spaces')
"""
"""The part of a trainer's configuration that tells of its run, with values that gin breaks into lines."""


def test_a_trainers_values_may_stand_on_lines_of_their_own(empty, tmp_path):
    """Every run's file names folders, whose paths are too long for gin's lines; what follows is read as ever."""
    layout, path, config = layouts.REMEMBERING["amago"], tmp_path / "policy_epoch_1.pt", tmp_path / "config.txt"
    torch.save(layout.content(), path)
    config.write_text(EXPERIMENT + "\n".join(GIN))
    said = read_gin(config.read_bytes(), config.name)
    assert said["Experiment.discounts"] == LONG
    assert said["Experiment.ckpt_base_dir"].endswith("/seed-3")
    assert said["Experiment.text"] == "a text of many words that gin breaks at its spaces"
    assert empty.add(path, config=config, **layout.stated).policy.family == "amago"


def test_an_amago_file_alone_asks_for_its_configuration(empty, tmp_path):
    """Neither positions nor activations stand in a tensor, so nothing is taken for granted."""
    layout, path = layouts.REMEMBERING["amago"], tmp_path / "policy_epoch_1.pt"
    torch.save(layout.content(), path)
    with pytest.raises(StatementMissingError, match=r"name the run.s ckpts/config\.txt with --config"):
        empty.add(path, **layout.stated)


@pytest.mark.parametrize("name", layouts.REMEMBERING)
def test_a_native_folder_of_a_policy_that_remembers_is_added_as_it_is(empty, tmp_path, name):
    """Facts that stood in no tensor are kept in its configuration, which is held against the weights again."""
    layout, path = layouts.REMEMBERING[name], tmp_path / "file.pt"
    torch.save(layout.content(), path)
    if layout.bare:
        (tmp_path / "file.pt.yaml").write_text("\n".join(f"{key}: {value}" for key, value in layout.config.items()))
    info = empty.add(path, **layout.stated)
    assert type(empty)(tmp_path / "other").add(empty.folder(info.id)).policy == info.policy
