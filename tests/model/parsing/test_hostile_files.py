"""A corpus of malicious, truncated and mismatched files in the layout of every family: refused, with the reason.

Each attack is made on each family's own layout, so that the refusal comes from where that family is read. Files are
parsed in this process, under a limit of memory; that a child does the same is `test_parse`'s.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import yaml

from attnscope_model.errors import CheckpointError
from forwards import layouts
from forwards.packing_layouts import PACKING

pytestmark = pytest.mark.usefixtures("parsed_here", "_outside_inference_mode", "_bounded")


LAYOUTS = layouts.LAYOUTS | layouts.REMEMBERING | PACKING
FAMILIES = {layout.family: name for name, layout in LAYOUTS.items()}
"""One layout of every family."""


class Touch:
    """Unpickled without care, it leaves a canary; `test_parse` shows that it can."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


class File:
    """One family's content, to be spoilt."""

    def __init__(self, family: str, canary: Path) -> None:
        self.layout = LAYOUTS[FAMILIES[family]]
        self.content = self.layout.content()
        self.state = self.content if self.layout.bare else self.content["model"]
        self.config = dict(self.layout.config)
        self.stated = dict(self.layout.stated)
        self.canary = Touch(canary)

    def a_weight(self):
        """Return the name of a weight in the middle of the stack."""
        return next(name for name in self.state if ".1." in name and name.endswith("weight"))

    def configure(self, **changes):
        """Say something else in the configuration, wherever the family keeps it."""
        self.config |= changes
        if not self.layout.bare:
            self.content["config"] |= changes

    def save(self, path: Path) -> Path:
        """Write the file, and its configuration beside it where it holds none."""
        torch.save(self.content, path)
        if self.layout.bare and self.config:
            path.with_name(path.name + ".yaml").write_text(yaml.safe_dump(self.config))
        return path


def code_in_the_state(file):
    """Put a command among the weights."""
    file.state["surprise"] = file.canary
    return r"surprise: a .*system stands among the weights, and is not run"


def not_finite(file):
    """Make a weight infinite."""
    file.state[file.a_weight()][..., 0] = float("inf")
    return r"a weight is not finite"


def not_a_number(file):
    """Make a weight no number."""
    file.state[file.a_weight()][..., -1] = float("nan")
    return r"a weight is not finite"


def claims_forty_gigabytes(file):
    """Let one number claim to be ten thousand million."""
    file.state[file.a_weight()] = torch.zeros(1).expand(100_000, 100_000)
    return r"would take \d{11} bytes, more than"


def weight_turned(file):
    """Store a weight the other way round, or one row short where that is the same."""
    name = file.a_weight()
    tensor = file.state[name]
    turned = tensor.ndim == 2 and tensor.shape[0] != tensor.shape[1]
    file.state[name] = tensor.t().contiguous() if turned else tensor[:-1].clone()
    return r": expected float \[.*\], got torch.float32 \["


def whole_numbers(file):
    """Store a weight as whole numbers."""
    file.state[file.a_weight()] = file.state[file.a_weight()].long()
    return r": expected float \[.*\], got torch.int64"


def surprise(file):
    """Add a tensor that no file of the family has."""
    file.state["v_head.weight"] = torch.zeros(3)
    return r"does not have: v_head.weight"


def hole(file):
    """Leave a weight out."""
    del file.state[file.a_weight()]
    return r"missing: .*\.1\."


def a_million_layers(file):
    """Say of one layer's weights that they are of layer 999,999; a mask would be refused before."""
    weights = [name for name in file.state if ".1." in name and not name.endswith(("causal_mask", "attn.bias"))]
    file.state |= {name.replace(".1.", ".999999."): torch.zeros(1) for name in weights}
    return r"layers between 1 and 64, got 1000000"


def heads_that_do_not_divide(file):
    """Say in the configuration, or state, heads that do not divide the width."""
    if "heads" in file.stated:
        file.stated["heads"] = 5
    elif file.layout.family == "amago":
        file.state["traj_encoder.tformer.layers.0.attention_layer.head_scaler"] = torch.ones(1, 1, 5, 1)
    else:
        name = next(name for name in file.config if "head" in name)
        file.configure(**{name: 5})
    return r"expected a divisor of the width 32, got 5"


def another_room(file):
    """Say in the configuration that the room is another one."""
    if "attnscope" in file.config:
        file.configure(attnscope=file.config["attnscope"] | {"grid_size": 11})
        if file.layout.family == "hub-decision-transformer":
            return r"unknown keys grid_size"  # its states are numbers, whatever the room
    else:
        file.configure(grid_size=11)
    return r"trained with grid_size 11, but the preset .* has (9|10)"


def another_familys_names(file):
    """Add another family's tensors."""
    other = "dicp-ad" if file.layout.family != "dicp-ad" else "cccad-ad"
    file.state |= LAYOUTS[FAMILIES[other]].state()
    return r"its names are those of several families \(.*dicp-ad|several families \(dicp-ad, cccad-ad"


def a_compressor(file):
    """Add a tensor of a compressing transformer, which no policy without one has."""
    file.state["compression_transformer.latents"] = torch.zeros(3)
    return r"does not have: compression_transformer.latents"


def twice(file):
    """Store a tensor twice, under a wrapper's prefix and bare."""
    file.state[f"module.{file.a_weight()}"] = torch.zeros(1)
    return r"stored twice under different prefixes"


ATTACKS = [
    code_in_the_state,
    not_finite,
    not_a_number,
    claims_forty_gigabytes,
    weight_turned,
    whole_numbers,
    surprise,
    hole,
    a_million_layers,
    heads_that_do_not_divide,
    another_room,
    another_familys_names,
    a_compressor,
    twice,
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_spoilt_file_is_refused_with_the_reason(empty, tmp_path, family, attack):
    """Nothing ran, nothing is registered, nothing is left, and the message says why."""
    canary = tmp_path / "canary"
    file = File(family, canary)
    reason = attack(file)
    with pytest.raises(CheckpointError, match=reason) as caught:
        empty.add(file.save(tmp_path / "hostile.pt"), **file.stated)
    assert len(caught.value.message) < 2000
    assert not canary.exists()
    assert list(empty.root.iterdir()) == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.98])
def test_a_file_cut_short_is_refused(empty, tmp_path, family, share):
    """Wherever a copy was cut, it is no checkpoint."""
    file = File(family, tmp_path / "canary")
    whole = file.save(tmp_path / "whole.pt").read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"copy it again"):
        empty.add(cut, **file.stated)
    assert list(empty.root.iterdir()) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_unspoilt_file_is_taken(empty, tmp_path, family):
    """The files of the corpus are good before they are spoiled."""
    file = File(family, tmp_path / "canary")
    assert empty.add(file.save(tmp_path / "good.pt"), **file.stated).policy.family == family
