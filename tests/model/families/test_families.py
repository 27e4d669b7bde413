"""Every family against an independent NumPy forward, and from its own kind of file into the registry and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import yaml

from attnscope_env import preset
from attnscope_model.acting.context import ContextWindow
from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.replay import NotReplayableError
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints import conversion
from attnscope_model.checkpoints.foreign import parse_here
from attnscope_model.checkpoints.native import FAMILIES, load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.errors import StatementMissingError
from attnscope_model.families.cccad import CccadPolicy
from attnscope_model.families.dicp import DicpConfig, DicpPolicy
from attnscope_model.families.steps import StepsConfig, StepsPolicy
from attnscope_model.families.tokens import CellConfig
from attnscope_model.forward.statistics import row_statistics
from attnscope_model.readers import READERS
from attnscope_model.readers.presets import FACTS
from forwards import layouts, packing_layouts
from forwards import numpy_forwards as forwards

CPU = torch.device("cpu")


def saved(layout, path, prefix=""):
    """Save a file of this layout, and its configuration beside it where the file holds none."""
    torch.save(layout.content(prefix), path)
    if layout.bare and layout.config:
        path.with_name(path.name + ".yaml").write_text(yaml.safe_dump(dict(layout.config)))
    return path


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Return every layout's entry and policy, from files added one by one to one registry."""
    folder = tmp_path_factory.mktemp("files")
    registry = CheckpointRegistry(tmp_path_factory.mktemp("registry"))
    with pytest.MonkeyPatch.context() as patch:
        parse_in_this_process(patch)
        found = {}
        for name, layout in layouts.LAYOUTS.items():
            info = registry.add(saved(layout, folder / f"{name}.pt"), name=name, **layout.stated)
            found[name] = info, load_policy(registry.folder(name), CPU)
    return found


def parse_in_this_process(patch):
    """Spare a child for every file; `test_conversion` covers the child."""

    def parse(source, folder, choice=None):
        with torch.inference_mode(mode=False):
            return parse_here(source, folder, choice)

    patch.setattr(conversion, "parse_apart", parse)


def history(transitions, side=9):
    """Return random transitions and a query."""
    random = np.random.default_rng(3)
    return forwards.History(
        random.integers(0, side, (transitions, 2)),
        random.integers(0, 5, transitions),
        random.integers(0, 2, transitions).astype(float),
        random.integers(0, side, (transitions, 2)),
        random.integers(0, side, 2),
    )


def tokens_of(policy, moment):
    """Return the context of a moment as the engine builds it."""
    window = ContextWindow(policy, 1, CPU)
    for i in range(len(moment.actions)):
        window.append(*(part[i : i + 1] for part in moment[:4]))
    return window.tokens(moment.query[None])


def expected(layout, moment):
    """Return the independent forward's logits and maps."""
    weights = {name: tensor.double().numpy() for name, tensor in layout.state().items()}
    forward = getattr(forwards, layout.forward)
    return forward(weights, {**layout.config, **layout.facts}, moment)


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_logits_and_every_map_equal_the_independent_forward(loaded, name):
    """At a context of the query alone, of few and of many transitions and of all that fit, all agree to 1e-5."""
    _, policy = loaded[name]
    capacity = ContextWindow(policy, 1, CPU).capacity
    for held in (0, 1, 3, capacity - 1, capacity):
        moment = history(capacity).newest(held)
        logits, maps = expected(layouts.LAYOUTS[name], moment)
        with AttentionTape(policy, maps=True) as tape:
            out = policy(tokens_of(policy, moment))
        assert np.abs(out[0].numpy() - logits).max() < 1e-5
        assert tape.maps[0].shape == maps.shape
        assert np.abs(tape.maps[0].numpy() - maps).max() < 1e-5
        assert np.abs(tape.rows[0].numpy() - maps[:, :, -1]).max() < 1e-5


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_the_random_attention_is_far_from_uniform(name):
    """The comparison above means something: some head spreads over less than half of a full context."""
    _, maps = expected(layouts.LAYOUTS[name], history(7))
    row = maps[:, :, -1]
    spread = np.exp(-(row * np.log(row)).sum(-1))
    assert spread.min() < row.shape[-1] / 2


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_descriptions_fit_the_layout(loaded, name):
    """Tokens, positions and the query's slot are the family's; a full context is as long as the file says."""
    info, policy = loaded[name]
    description = info.policy
    assert description == policy.description
    assert description.family == layouts.LAYOUTS[name].family
    assert len(description.token_kinds) == description.tokens_per_transition
    assert (description.layers, description.actions) == (3, 5)
    assert description.query_slot == ("first" if "dpt" in name else "last")
    assert description.context_length == (22 if description.tokens_per_transition == 3 else 24)
    assert description.positions in {"learned-absolute", "rotary", "sinusoidal", "alibi"}
    assert info.train_tasks is None


def test_the_query_first_row_is_the_last_tokens(loaded):
    """In DPT the newest transition decides: its own map's row; `self` is the query's slot 0, recency counts it."""
    _, policy = loaded["dpt"]
    with AttentionTape(policy, maps=True) as tape:
        policy(tokens_of(policy, history(6)))
    row = tape.maps[:, :, :, -1]
    assert torch.allclose(row, tape.rows)
    statistics = row_statistics(tape.rows, "first")
    assert torch.equal(statistics["self"], tape.rows[..., 0])
    assert torch.equal(statistics["recency"][..., 0], tape.rows[..., -1])
    assert torch.allclose(statistics["recency"][..., 2] + statistics["self"], torch.ones(1, 3, 2))


def test_value_weighting_knows_every_output_map(loaded):
    """Each family's layers say the weight that joins the heads."""
    for name, (_, policy) in loaded.items():
        for layer in policy.layers():
            try:
                assert layer.output().shape == (32, 32)
            except NotReplayableError:
                pytest.fail(f"{name} says no output map")


def test_no_file_is_recognised_by_two_readers():
    """Every layout's names belong to exactly one reader, whose family is the layout's."""
    every = (layouts.LAYOUTS | layouts.REMEMBERING | packing_layouts.PACKING).values()
    for layout in every:
        names = layout.state().keys()
        assert [reader.family for reader in READERS if reader.recognises(names)] == [layout.family]
    assert {layout.family for layout in every} == {reader.family for reader in READERS}
    assert {reader.family for reader in READERS} <= FAMILIES.keys()


@pytest.mark.usefixtures("parsed_here")
@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_prefixes_of_wrappers_do_not_change_the_checkpoint(loaded, empty, tmp_path, name):
    """Saved from DDP or torch.compile, the file is the same checkpoint, and so are its unused tensors left out."""
    layout, (info, _) = layouts.LAYOUTS[name], loaded[name]
    wrapped = empty.add(saved(layout, tmp_path / "w.pt", "_orig_mod.module."), **layout.stated)
    assert wrapped.id == info.id
    assert wrapped.stated == info.stated == layout.stated


def test_what_nobody_uses_is_dropped(loaded, empty):
    """GPT-2's token table and masks, reward heads and dynamics are not kept, and do not count as parameters."""
    assert loaded["rad"][0].policy.parameters == sum(
        tensor.numel()
        for name, tensor in layouts.rad().items()
        if "wte" not in name and not name.endswith((".attn.bias", ".masked_bias"))
    )
    assert empty.list() == []


@pytest.mark.usefixtures("parsed_here")
def test_the_same_weights_are_not_moved_to_another_room_unseen(empty, tmp_path):
    """Files of equal weights that name two environments are one checkpoint, whose room is then stated, not replaced."""
    layout = layouts.LAYOUTS["dicp-dpt"]
    first = empty.add(saved(layout, tmp_path / "a.pt"))
    other = dataclasses.replace(layout, config={**layout.config, "env": "darkkeytodoor", "horizon": 50})
    with pytest.raises(StatementMissingError, match="acts in darkroom-reference, but this file says key-to-door"):
        empty.add(saved(other, tmp_path / "b.pt"))
    assert empty.get(first.id) == first
    moved = empty.add(saved(other, tmp_path / "b.pt"), preset="key-to-door")
    assert (moved.id, moved.preset, moved.name) == (first.id, "key-to-door", first.name)


def test_parameters_are_those_of_published_files():
    """At the sizes of the published runs, the policies have the parameters that were counted there."""
    with torch.device("meta"):
        dicp = DicpPolicy(DicpConfig(32, 4, 4, 80, 128, 9, 5, "dicp-ad"))
        cccad = CccadPolicy(CellConfig(32, 4, 4, 240, 128, 9, 5))
        eps = StepsPolicy(StepsConfig("ad-eps", 64, 512, 4, 4, 2048, "pre", 9, 5, 240))
        cinemere = StepsPolicy(StepsConfig("cinemere-ad", 64, 256, 4, 4, 1024, "post", 9, 5, 180))
    assert dicp.description.parameters == 69_413
    assert cccad.description.parameters == 61_669
    assert round(eps.description.parameters, -4) == 12_650_000
    assert round(cinemere.description.parameters, -4) == 3_180_000
    assert (eps.description.context_length, cinemere.description.context_length) == (238, 178)


def test_presets_are_what_the_environments_say():
    """The facts that files are held against are those of the presets, and every family's presets exist."""
    for name, facts in FACTS.items():
        known = preset(name)
        assert (known.horizon, len(known.actions)) == (facts.horizon, facts.num_actions)
        assert len(known.tasks("all")) == facts.tasks
    assert {name for reader in READERS for name in reader.presets} <= FACTS.keys()


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_a_rollout_decides_as_the_whole_context_does_past_its_slide(loaded, name):
    """Cached while it grows and recomputed once it slides, also for three tokens a transition or the query first."""
    _, policy = loaded[name]
    features, actions = 4, policy.description.actions
    random, decider = np.random.default_rng(0), Decider(policy, 2, CPU)
    for _ in range(decider.window.capacity + 4):
        before, after = random.integers(0, features, (2, 2, 2))
        decision = decider.decide(before, rows=True)
        with AttentionTape(policy) as tape:
            logits = policy(decider.window.tokens(before))
        # Sums in another order: float32 rounds logits by their size, which is up to 8 here.
        assert (decision.logits - logits).abs().max() < 1e-5 * max(1.0, float(logits.abs().max()))
        assert (decision.rows - tape.rows).abs().max() < 1e-5
        decider.append(before, random.integers(0, actions, 2), random.integers(0, 2, 2).astype(float), after)
