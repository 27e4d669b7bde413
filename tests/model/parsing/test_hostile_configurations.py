"""Hostile configurations, lengths and pickles, and layouts that are recognised and refused by name."""

from __future__ import annotations

import os
import pickle  # noqa: TID251 - the tests write hostile files
from pathlib import Path

import pytest
import torch

from attnscope_model.errors import CheckpointError
from forwards.layouts import LAYOUTS

pytestmark = pytest.mark.usefixtures("parsed_here", "_outside_inference_mode")


class Touch:
    """Unpickled without care, it leaves a canary; `test_parse` shows that it can."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("c.yaml", "num_heads: !!python/object/apply:os.system ['touch {canary}']", "not a plain configuration"),
        ("c.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nnum_heads: *b", "state --heads N"),
        ("c.yaml", "[" * 500, "not a plain configuration"),
        ("c.yaml", "x: " + "y" * 70_000, "more than the 65536 bytes"),
        ("c.yaml", "- 4", "expected a mapping of names to values, got list"),
        ("c.json", "{num_heads: 4}", "not a plain configuration"),
        ("c.json", '{"num_heads": ' + "9" * 5000 + "}", "not a plain configuration"),
        ("c.json", '{"num_heads": "4", "env_name": "DarkRoom-v0"}', "num_heads: expected a whole number"),
        ("c.json", '{"num_heads": 4, "env_name": "../../etc"}', "no preset describes its environment"),
        ("c.json", '{"num_heads": 4}', "state --preset NAME"),
        ("c.json", '{"num_heads": 4, "num_heads": 8}', "names stand twice: num_heads"),
        ("c.yaml", "num_heads: 4\nenv_name: DarkRoom-v0\nnum_heads: 8", "names stand twice: num_heads"),
        ("none.json", None, "none.json: No such file"),
    ],
)
def test_a_hostile_configuration_is_refused(empty, tmp_path, name, text, reason):
    """A configuration beside a bare state dict is plain values or nothing."""
    canary, config = tmp_path / "canary", tmp_path / name
    if text is not None:
        config.write_text(text.replace("{canary}", str(canary)))
    torch.save(LAYOUTS["ad-eps"].content(), tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=reason):
        empty.add(tmp_path / "m.pt", config=config)
    assert not canary.exists()
    assert list(empty.root.iterdir()) == []


def test_a_configuration_may_not_contradict_the_file(empty, tmp_path):
    """A checkpoint's own configuration is not overruled by one beside it; two that lie beside are too many."""
    path = tmp_path / "m.pt"
    torch.save(LAYOUTS["cccad"].content(), path)
    path.with_name("m.pt.json").write_text('{"tf_n_head": 8}')
    with pytest.raises(CheckpointError, match=r"m\.pt\.json contradicts the checkpoint's own config in tf_n_head"):
        empty.add(path)
    path.with_name("m.pt.yml").write_text("tf_n_head: 4")
    with pytest.raises(CheckpointError, match="several configurations stand beside"):
        empty.add(path)


@pytest.mark.parametrize("name", ["ad-eps", "cinemere-post"])
def test_a_mask_that_is_not_causal_is_refused(empty, tmp_path, name):
    """The masks in the file say that it is causal; others would make every row a wrong one."""
    state = LAYOUTS[name].content()
    state["blocks.1.causal_mask"][3, 5] = False
    torch.save(state, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"blocks\.1\.causal_mask: expected a causal mask"):
        empty.add(tmp_path / "m.pt")


@pytest.mark.parametrize("length", [1, 10**9, -3, "80", 2.5])
def test_a_rotary_length_out_of_bounds_is_refused(empty, tmp_path, length):
    """No tensor bounds a rotary policy's context, so its configuration's word is held to the bounds."""
    content = LAYOUTS["dicp-ad"].content()
    content["config"]["n_transit"] = length
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"n_transit|at least 2 tokens"):
        empty.add(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["encoder.h.0.attn.c_attn.weight", "embed_timestep.weight"], "shunzh's AD"),
        (["transformer.blocks.0.attn.W_Q", "transformer.pos_embed.W_pos"], "a TransformerLens model"),
        (
            ["state_emb.weight", "type_emb.weight", "pos_emb", "transformer.layers.0.linear1.weight"],
            "the interleaved AD",
        ),
        (["encoder.query_tokens", "transformer_decoder.layers.0.x"], "the compressing AD of CCCAD_Meta"),
        (["image_encoder.0.weight", "transformer.wpe.weight"], "DPT on images"),
    ],
)
def test_known_layouts_that_are_not_read_are_refused_by_name(empty, tmp_path, names, layout):
    """Its user learns what the file is, and why it is not read."""
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=rf"m\.pt: {layout}.* is not supported, because "):
        empty.add(tmp_path / "m.pt")


def test_pickles_of_other_kinds_are_refused(empty, tmp_path):
    """A plain pickle, a script and an empty file run nothing and are no checkpoints."""
    canary = tmp_path / "canary"
    for content in (
        pickle.dumps(Touch(canary), protocol=2),
        b"import os\nos.system('touch canary')\n",
        b"",
        b"\x80\x02].",
    ):
        (tmp_path / "m.pt").write_bytes(content)
        with pytest.raises(CheckpointError):
            empty.add(tmp_path / "m.pt", causal=True)
    assert not canary.exists()
