"""Configurations that trainers leave beside a checkpoint: named in a refusal, and read where they are named."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from attnscope_model.errors import CheckpointError, StatementMissingError
from forwards.layouts import LAYOUTS

NESTED = """
wandb_version: 1
_wandb: {value: {python_version: 3.11.7}}
tf_n_head: {desc: null, value: 4}
env: {desc: null, value: darkroom}
n_transit: {value: 24}
"""
PLACES = (".hydra/config.yaml", "config.yaml", "files/config.yaml", "../hparams.yaml", "../.hydra/config.yaml")


@pytest.fixture
def bare(tmp_path):
    """Return a checkpoint of CCCAD's that says nothing but its weights, in a folder of its own."""
    path = tmp_path / "run" / "checkpoints" / "m.pt"
    path.parent.mkdir(parents=True)
    torch.save(LAYOUTS["cccad"].state(), path)
    return path


@pytest.mark.usefixtures("parsed_here")
@pytest.mark.parametrize("place", PLACES)
def test_what_lies_beside_is_named_where_something_is_missing(empty, bare, place):
    """W&B, Hydra and Lightning each leave a file; the refusal names it and what to do with it."""
    beside = bare.parent / place
    beside.parent.mkdir(exist_ok=True)
    beside.write_text(NESTED)
    with pytest.raises(StatementMissingError) as refused:
        empty.add(bare)
    assert f"beside it lies {place}, which was not read: name the one of this run with --config" in str(refused.value)
    assert empty.add(bare, config=beside).preset == "darkroom-reference"


@pytest.mark.usefixtures("parsed_here")
def test_nothing_is_said_of_what_does_not_lie_there(empty, bare):
    """A lonely checkpoint has no such sentence."""
    with pytest.raises(StatementMissingError) as refused:
        empty.add(bare)
    assert "beside it lies" not in str(refused.value)


@pytest.mark.usefixtures("parsed_here")
def test_a_preset_answers_an_environment_that_nobody_has_heard_of(empty, tmp_path):
    """A name of one's own is refused with the remedy; stated, the room is kept with the note, and sizes must fit."""
    layout = LAYOUTS["cccad"]
    own = dataclasses.replace(layout, config={**layout.config, "env": "my_darkroom"})
    torch.save(own.content(), tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"trained with env 'my_darkroom'.*state that: --preset NAME"):
        empty.add(tmp_path / "m.pt")
    info = empty.add(tmp_path / "m.pt", preset="darkroom-reference")
    assert (info.preset, info.stated["preset"]) == ("darkroom-reference", "darkroom-reference")
    assert any("its file says that it was trained with env 'my_darkroom'" in note for note in info.notes)


@pytest.mark.usefixtures("parsed_here")
def test_a_preset_does_not_overrule_an_environment_that_is_known(empty, tmp_path):
    """A file of another environment is not moved by a statement."""
    layout = LAYOUTS["dicp-ad"]
    other = dataclasses.replace(layout, config={**layout.config, "env": "key2door"})
    torch.save(other.content(), tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="trained with env 'key2door': no preset describes"):
        empty.add(tmp_path / "m.pt", preset="key-to-door")
