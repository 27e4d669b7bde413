"""Readers: a family is recognised by its names alone, and nothing that does not fit is built."""

from __future__ import annotations

import pytest
import torch

from attnscope_model.checkpoints.native import load_tensors
from attnscope_model.errors import CheckpointUnreadableError, StatementMissingError
from attnscope_model.families import OWN_FAMILIES
from attnscope_model.families.ad import FAMILY
from attnscope_model.readers import READERS, ParsedFile, reader_of
from attnscope_model.readers.reference import ReferenceReader
from attnscope_model.readers.statements import known, settle

CONFIG = {"env": "darkroom", "grid_size": 9, "num_actions": 5, "horizon": 20, "tf_n_head": 4, "alg_seed": 7}
READER = ReferenceReader()
ANSWERS = {"causal": True, "heads": 4, "preset": "darkroom-reference", "sampling": "sample"}


@pytest.fixture(scope="module")
def tensors(registry):
    """Return the tensors of the non-causal checkpoint, under the file's names."""
    return load_tensors(registry.folder("noncausal"))


def parsed(tensors, config=CONFIG, step=60_000):
    """Return a parsed file."""
    return ParsedFile(tensors, config, step)


def test_the_reference_is_recognised(tensors):
    """Exactly one reader takes the reference's names."""
    assert isinstance(reader_of(parsed(tensors)), ReferenceReader)
    assert len({reader.family for reader in READERS}) == len(READERS)


@pytest.mark.parametrize(
    "names",
    [
        [
            "transformer.blocks.0.attn.qkv_proj.weight",
            "embed_context.weight",
            "embed_query_state.weight",
            "pred_action.weight",
        ],
        ["pos_embedding", "embed_query_state.weight", "pred_action.weight"],
        ["transformer_encoder.layers.0.linear1.weight"],
        [],
    ],
)
def test_other_families_are_unknown(names):
    """Names of another family, or part of the reference's, are refused with what was found."""
    with pytest.raises(CheckpointUnreadableError, match="no known family"):
        reader_of(parsed(dict.fromkeys(names, torch.zeros(1))))


def test_the_mask_is_not_in_the_file(tensors):
    """The reader says that it does not know, and the hint names both revisions and claims neither."""
    assert "causal" not in known(READER, parsed(tensors)).answers
    hint = READER.hint(parsed(tensors))
    assert "6c83913" in hint
    assert "cannot be detected" in hint
    assert "d 32 and n_transit 160, which proves neither" in hint


@pytest.mark.parametrize("causal", [True, False])
def test_shapes_give_the_configuration(tensors, causal):
    """Everything but heads and mask comes from shapes; the file's device, dropout and n_inner are not read."""
    odd = CONFIG | {"tf_n_inner": 7, "device": "cuda:3", "tf_dropout": 0.9}
    assert READER.native_config(parsed(tensors, odd), ANSWERS | {"causal": causal}) == {
        "family": "ad-reference",
        "width": 32,
        "layers": 4,
        "heads": 4,
        "context_length": 160,
        "feedforward": 128,
        "grid_size": 9,
        "actions": 5,
        "causal": causal,
    }


LAYER = "transformer_encoder.layers"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pos_embedding": torch.zeros(160, 32)}, "pos_embedding: expected 3 dimensions"),
        ({"pos_embedding": torch.zeros(2, 160, 32)}, r"pos_embedding: expected float \[1, 160, 32\]"),
        ({"pos_embedding": torch.zeros(1, 160, 32, dtype=torch.int64)}, "expected float"),
        ({"pos_embedding": torch.zeros(1, 9000, 32)}, "n_transit between 1 and 8192, got 9000"),
        ({"pos_embedding": torch.zeros(1, 1, 32)}, "at least 2 tokens"),
        ({"pos_embedding": torch.zeros(1, 0, 32)}, "n_transit between"),
        ({"pos_embedding": torch.zeros(1, 2, 5000)}, "d between 1 and 4096"),
        ({"pred_action.weight": torch.zeros(5000, 32)}, "actions between"),
        ({"embed_query_state.weight": torch.zeros(80, 32)}, "square number"),
        ({"embed_context.weight": torch.zeros(32, 11)}, r"embed_context.weight: expected float \[32, 10\]"),
        ({f"{LAYER}.1.norm1.bias": torch.zeros(31)}, "layers.1.norm1.bias"),
        ({f"{LAYER}.0.linear1.bias": torch.zeros(2, 2)}, "feed-forward bias"),
        ({f"{LAYER}.2.linear2.weight": None}, "missing: transformer_encoder.layers.2.linear2.weight"),
        ({f"{LAYER}.4.linear1.bias": torch.zeros(128)}, "missing: transformer_encoder.layers.4"),
        ({f"{LAYER}.999999.linear1.bias": torch.zeros(1)}, "layers between 1 and 64, got 1000000"),
        ({"surprise": torch.zeros(1)}, "does not have: surprise"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tensors, change, reason):
    """Wrong shapes, missing and unknown tensors and sizes out of bounds are refused with name and expectation."""
    changed = {name: tensor for name, tensor in (tensors | change).items() if tensor is not None}
    with pytest.raises(CheckpointUnreadableError, match=reason):
        READER.native_config(parsed(changed), ANSWERS | READER.says(parsed(changed)))


@pytest.mark.parametrize("heads", [0, 3, 64, -4, True, 4.0, "4"])
def test_heads_that_do_not_divide_the_width_are_refused(tensors, heads):
    """The configuration is not trusted to fit the tensors."""
    file = parsed(tensors, CONFIG | {"tf_n_head": heads})
    with pytest.raises(CheckpointUnreadableError, match=r"heads|tf_n_head"):
        READER.native_config(file, ANSWERS | READER.says(file))


def test_the_preset_is_bound_only_where_it_fits(tensors):
    """Darkroom 9×9 with horizon 20 has a preset; another environment, grid or horizon is refused, not squeezed in."""
    assert known(READER, parsed(tensors)).answers["preset"] == "darkroom-reference"
    for change in ({"env": "darkroompermuted"}, {"grid_size": 11}, {"horizon": 50}, {"num_actions": 4}):
        file = parsed(tensors, CONFIG | change)
        with pytest.raises(CheckpointUnreadableError, match="no preset describes"):
            READER.native_config(file, ANSWERS | READER.says(file))
    small = tensors | {"embed_query_state.weight": torch.zeros(49, 32)}
    with pytest.raises(CheckpointUnreadableError, match="grid_size 7"):
        READER.native_config(parsed(small, {}), ANSWERS)


@pytest.mark.parametrize("missing", ["causal", "heads", "preset"])
def test_what_nobody_says_is_refused_with_the_way_to_state_it(tensors, missing):
    """A question that neither file nor user answers is refused; the answer alone makes it good, and is kept."""
    answers = {"causal": True, "heads": 4, "preset": "darkroom-reference"}
    bare = parsed(tensors, {})
    with pytest.raises(StatementMissingError, match=f"state --{missing}.* for x.pt, which does not say it: .*6c83913"):
        settle(READER, bare, answers | {missing: None}, "x.pt")
    assert settle(READER, bare, answers, "x.pt").by_user == answers


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"heads": 8}, "x.pt says heads 4, not 8"),
        ({"context_length": 80}, "x.pt says context_length 160, not 80"),
        ({"preset": "key-to-door"}, r"acts in one of \['darkroom-reference'\], not in 'key-to-door'"),
        ({"norm": "pre"}, "asks no norm"),
    ],
)
def test_a_user_may_not_contradict_a_file(tensors, stated, reason):
    """The file's own answer stands; a statement that differs is refused, not preferred."""
    with pytest.raises(CheckpointUnreadableError, match=reason):
        settle(READER, parsed(tensors), {"causal": True} | stated, "x.pt")


def test_the_familys_own_sampling_may_be_stated_otherwise(tensors):
    """The sampling of a family's evaluation is a default: a user's other word is kept as stated."""
    default = settle(READER, parsed(tensors), {"causal": True}, "x.pt")
    assert (default.answers["sampling"], default.origins["sampling"]) == ("sample", "family")
    stated = settle(READER, parsed(tensors), {"causal": True, "sampling": "greedy"}, "x.pt")
    assert stated.by_user == {"causal": True, "sampling": "greedy"}


def test_names_are_readable_and_plain(tensors):
    """Names come from environment, source seed and step, and stay plain whatever the configuration holds."""
    assert READER.default_name(parsed(tensors)) == "AD-darkroom-seed7@60000"
    assert READER.default_name(parsed(tensors, {}, None)) == "AD-darkroom-seedunknown@unknown"
    assert READER.default_name(parsed(tensors, {"env": "../../X y", "alg_seed": True})) == "AD--x-y-seedunknown@60000"


def test_the_own_families_are_those_that_are_read():
    """The list that needs no torch names every family of a reader, and the native one."""
    assert {reader.family for reader in READERS} | {FAMILY} == OWN_FAMILIES
