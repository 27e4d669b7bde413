"""Hostile and mistaken Hugging Face folders: refused with the reason, before anything is built or fetched."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file, save_file

from attnscope_model.checkpoints import conversion
from attnscope_model.errors import CheckpointError, CheckpointUnreadableError

pytestmark = pytest.mark.usefixtures("parsed_here", "_outside_inference_mode")

CONFIGURATIONS = [
    ({"_attn_implementation": "someone/kernel"}, "unknown keys _attn_implementation"),
    ({"attn_implementation": "kernels-community/flash"}, "unknown keys attn_implementation"),
    ({"auto_map": {"AutoModel": "modeling.Own"}}, "auto_map says .* and only None is computed here"),
    ({"trust_remote_code": True}, "unknown keys trust_remote_code"),
    ({"quantization_config": {"bits": 4}}, "quantization_config says"),
    ({"architectures": ["OwnModel"]}, r"expected the architecture \w+, got \['OwnModel'\]"),
    ({"layer_types": ["sliding_attention"]}, "unknown keys layer_types"),
    ({"model_type": "mistral"}, "its configuration is of mistral: name the folder"),
    ({"model_type": ["gpt2"]}, "its configuration is of none: name the folder"),
    ({"vocab_size": 36}, "its config says vocab_size 36, its tensors say"),
    ({"vocab_size": -1}, "expected a whole number from 1 on, got -1"),
    ({"tie_word_embeddings": "yes"}, "tie_word_embeddings: expected bool, got 'yes'"),
]

OF_LLAMA = [
    (
        {"rope_parameters": {"rope_theta": 1e4, "rope_type": "yarn", "factor": 4.0}},
        "expected rope_theta and rope_type alone",
    ),
    ({"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear"}}, "rope_type says 'linear'"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling says"),
    ({"rms_norm_eps": float("inf")}, "rms_norm_eps: expected float, got 'inf'"),
    ({"head_dim": 8}, "head_dim: expected an even 32 / 8, got 8"),
    ({"num_key_value_heads": 3}, "num_key_value_heads: expected a divisor of the heads 8, got 3"),
    ({"hidden_act": "swish_of_my_own"}, "expected an activation of gelu, "),
    ({"attention_bias": True}, "tensors are missing: .*q_proj.bias"),
]

DECLARATIONS = [
    ({"tokens": ["action", "state"]}, r"tokens: expected \['state', 'action', 'reward'\] or"),
    ({"tokens": ...}, "write tokens into attnscope.json beside config.json"),
    ({"states": ...}, "write states into attnscope.json"),
    ({"first_action": 40}, "the declaration's actions end at entry"),
    ({"states": True}, "states: expected a whole number from 1 to"),
    ({"target_return": 3.0}, "unknown keys target_return; known are actions, context_length"),
    ({"context_length": 100}, "expected context_length between 1 and"),
    ({"context_length": 2}, "expected room for a transition of 2 tokens and the query, got 2"),
    ({"preset": 7}, "expected the name of a preset, got '7'"),
    ({"preset": "darkroom-reference"}, "trained with num_actions .* but the preset darkroom-reference has 5"),
]


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bloom"])
@pytest.mark.parametrize(("changes", "reason"), CONFIGURATIONS)
def test_a_configuration_that_says_more_than_sizes_is_refused(empty, folder, kind, changes, reason):
    """Keys that name code, another forward or nothing known; sizes and kinds that do not fit."""
    spoilt = folder(kind)
    spoilt.configure(**changes)
    refused(empty, spoilt, reason)


@pytest.mark.parametrize(("changes", "reason"), OF_LLAMA)
def test_a_llama_that_is_computed_otherwise_is_refused(empty, folder, changes, reason):
    """Scaled positions, heads of another size, biases that are not there, numbers that are none."""
    spoilt = folder("llama")
    spoilt.configure(**changes)
    refused(empty, spoilt, reason)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize(("changes", "reason"), DECLARATIONS)
def test_a_declaration_that_does_not_fit_is_refused(empty, folder, kind, changes, reason):
    """The meaning of each token has to be said, within the vocabulary and as the environment has it."""
    spoilt = folder(kind)
    spoilt.declare(**changes)
    refused(empty, spoilt, reason)


def test_a_bloom_whose_residual_is_normalised_is_refused(empty, folder):
    """That is another forward; the key is read, and only the one that is computed here is taken."""
    spoilt = folder("bloom")
    spoilt.configure(apply_residual_connection_post_layernorm=True)
    refused(empty, spoilt, "apply_residual_connection_post_layernorm says 'True', and only False is computed here")


def refused(empty, spoilt, reason):
    """Hold that adding a folder is refused, and leaves nothing."""
    with pytest.raises(CheckpointError, match=reason) as caught:
        empty.add(spoilt.path)
    assert len(caught.value.message) < 2000
    assert list(empty.root.iterdir()) == []


def test_a_head_that_is_not_the_table_is_refused(empty, folder):
    """A configuration that ties head and table beside a file with another head contradicts itself."""
    spoilt = folder("llama")
    spoilt.configure(tie_word_embeddings=True)
    refused(empty, spoilt, "lm_head.weight: expected model.embed_tokens.weight, since its configuration ties them")


def test_a_mask_of_its_own_is_refused(empty, folder):
    """Older files hold the causal mask; another one is another policy."""
    spoilt = folder("gpt2")
    weights = load_file(spoilt.path / "model.safetensors")
    weights["transformer.h.1.attn.bias"] = torch.ones(1, 1, 48, 48)
    save_file(weights, spoilt.path / "model.safetensors")
    refused(empty, spoilt, r"h.1.attn.bias: expected a causal mask")


def test_a_folder_in_parts_is_refused(empty, folder):
    """Parts are named by an index, whose names could lead anywhere; none of them is followed."""
    spoilt = folder("gpt2")
    (spoilt.path / "model.safetensors").rename(spoilt.path / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"transformer.wte.weight": "../../etc/passwd"}}
    (spoilt.path / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(empty, spoilt, "holds the parts of a checkpoint")


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "gpt2", "model_type": "llama"}', "[" * 10_000])
def test_a_configuration_that_is_no_plain_mapping_is_refused(empty, folder, content):
    """Cut short, a list, a name twice, nested without end."""
    spoilt = folder("gpt2")
    (spoilt.path / "config.json").write_text(content)
    refused(empty, spoilt, "config.json: ")


BOMB = "model_type: gpt2\nn_layer: &a [1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"k{i}: &{this} [{', '.join([f'*{before}'] * 8)}]\n" for i, (before, this) in enumerate(pairwise("abcdefgh"))
)
"""Eight lists of eight, each by an alias: 16 million values in some hundred bytes."""

MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 9))
"""Eight merges of ten: 100 million pairs before the first value is looked at."""


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.json", '{"model_type": "gpt2", "n_layer": 1' + "0" * 400 + "}", "a whole number of 1329 bits is no"),
        ("config.json", '{"model_type": "gpt2", "n_layer": 1' + "0" * 5000 + "}", "not a plain configuration"),
        ("config.json", '{"model_type": "gpt2", "n_layer": NaN}', "n_layer: expected int, got 'nan'"),
        ("config.json", '{"model_type": "gpt2", "n_positions": 1' + "0" * 18 + "}", "of 60 bits"),
        ("config.json", '{"model_type": "gpt2", "a": ' + '{"a":' * 50 + "1" + "}" * 51, "more than 8 levels deep"),
        ("config.json", '{"a":' * 9_000 + "1" + "}" * 9_000, "not a plain configuration"),
        ("attnscope.json", '{"target_return": 1' + "0" * 400 + "}", "attnscope.json: a whole number of 1329 bits"),
        ("attnscope.json", '{"states": -1' + "0" * 400 + "}", "attnscope.json: a whole number of 1329 bits"),
        ("model.safetensors.yaml", "model_type: gpt2\nn_layer: 0x" + "f" * 9_000, "a whole number of 36000 bits"),
        ("model.safetensors.yaml", "? 0x" + "f" * 9_000 + "\n: 1", "of more than 64 bits is no name"),
        ("model.safetensors.yaml", "model_type: gpt2\nn_layer: !!int ''", "a text that is none of its kind"),
        ("model.safetensors.yaml", "model_type: gpt2\nn_layer: !!bool x", "a text that is none of its kind"),
        ("model.safetensors.yaml", "model_type: gpt2\nn_layer: !!timestamp x", "a text that is none of its kind"),
        ("model.safetensors.yaml", BOMB, "has more than 10000 values"),
        ("model.safetensors.yaml", "model_type: gpt2\na: &a [*a]", "more than 8 levels deep"),
        ("model.safetensors.yaml", MERGES, "its values are merged by <<: write them out"),
    ],
)
def test_numbers_and_nesting_without_end_are_refused_before_weights_are_read(
    empty, folder, monkeypatch, name, content, reason
):
    """A refusal that shows what it refuses is short whatever stands there, and costs no child."""
    spoilt = folder("gpt2")
    (spoilt.path / name).write_text(content)
    monkeypatch.setattr(conversion, "parse_apart", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(CheckpointUnreadableError, match=reason) as caught:
        empty.add(spoilt.path)
    assert len(caught.value.message) < 400


def test_nothing_of_the_library_is_imported(empty, folder):
    """A folder is read, and its policy is built, without the library and without anything that fetches."""
    empty.add(folder("gpt2").path)
    assert not {"transformers", "kernels", "huggingface_hub"} & sys.modules.keys()


def test_a_declaration_is_named_where_it_lies_elsewhere(empty, folder, tmp_path):
    """``--config`` names the declaration of a Hugging Face folder, whose own configuration is read all the same."""
    plain = folder("gpt2")
    elsewhere = tmp_path / "tokens.json"
    (plain.path / "attnscope.json").rename(elsewhere)
    with pytest.raises(CheckpointUnreadableError, match="write tokens, observation"):
        empty.add(plain.path, context_length=48, preset="some.listed.environment")
    info = empty.add(plain.path, config=elsewhere)
    assert (info.policy.family, info.preset, info.policy.context_length) == ("hub-gpt2", "some.listed.environment", 48)
