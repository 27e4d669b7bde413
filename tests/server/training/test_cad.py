"""A run of a policy that packs its history: its file is the layout's own, which the registry reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from attnscope_env import preset
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.strategies.fitting import why_not_policy
from attnscope_model.strategies.learned import Latents
from attnscope_server.training.checkpoints import new_policy
from attnscope_server.training.evaluation import episode_returns
from attnscope_server.training.layouts import CompressorPlan
from attnscope_server.training.plan import PlanUnfitError
from attnscope_server.training.run import TrainingRun
from reading_here import reading_here


@pytest.fixture
def packing(plan):
    """Return the tiny plan with a compressor: contexts of 12, four latents, windows of two episodes."""
    compressor = CompressorPlan(latents=4, layers=1, heads=2, window=40, decisions=4)
    return plan.model_copy(update={"layout": "cad", "compressor": compressor})


def test_a_trained_file_is_read_as_the_policy_that_was_trained(packing, tmp_path):
    """Interrupted or not, the same bits; the registry's policy has the same returns past several compressions."""
    whole = TrainingRun(tmp_path / packing.run_name, packing)
    whole.advance()
    TrainingRun(tmp_path / "broken", packing).advance(until=5)
    TrainingRun(tmp_path / "broken", packing).advance()
    files = [torch.load(tmp_path / name / "ckpt-8.pt", weights_only=True) for name in (packing.run_name, "broken")]
    assert all(torch.equal(files[0]["model"][name], files[1]["model"][name]) for name in files[0]["model"])
    assert packing.run_name == "CAD-darkroom-reference-seed0"
    registry = CheckpointRegistry(tmp_path / "registry")
    with reading_here():
        info = registry.add(whole.folder, train_tasks=whole.tasks.train)
    assert (info.policy.family, info.policy.latents, info.policy.context_length) == ("cccad-cad", 4, 12)
    assert why_not_policy(Latents(), info.policy) is None
    assert "reads 11 tokens at most" in (why_not_policy(Latents(once=True), info.policy) or "")
    policy, room = load_policy(registry.folder(info.id), torch.device("cpu")), preset("darkroom-reference")
    size = {"rollouts": 2, "episodes": 2}
    trained = episode_returns(whole.trainer.policy.eval(), room, room.tasks("test")[:2], **size)
    assert np.array_equal(episode_returns(policy, room, room.tasks("test")[:2], **size), trained)


@pytest.mark.parametrize(("layout", "family"), [("cccad", "cccad-ad"), ("cad", "cccad-cad")])
def test_a_file_of_key_to_door_says_its_room_and_split(packing, tmp_path, layout, family):
    """Either layout is read with the preset that it was trained in, and nothing is noted of another split."""
    own = {"layout": layout, "preset": "key-to-door", "recipe": replace(packing.recipe, steps=1)}
    run = TrainingRun(tmp_path / "run", packing.model_copy(update=own))
    run.advance()
    registry = CheckpointRegistry(tmp_path / "registry")
    info = registry.add(run.folder, train_tasks=run.tasks.train)
    assert (info.preset, info.policy.family, info.policy.context_length) == ("key-to-door", family, 12)
    assert not any("split" in note for note in info.notes)
    tokens = torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        read = load_policy(registry.folder(info.id), torch.device("cpu"))
        torch.testing.assert_close(read(tokens), run.trainer.policy.eval()(tokens))


def test_without_a_compressor_it_is_the_policy_that_packs_nothing(packing):
    """CCCAD's AD has CAD's weights but for the compressor's and the latents' kind, of the same shapes."""
    plans = {layout: packing.model_copy(update={"layout": layout}) for layout in ("cccad", "cad")}
    shapes = {
        layout: {name: one.shape for name, one in new_policy(plan).state_dict().items()}
        for layout, plan in plans.items()
    }
    own = {name: one for name, one in shapes["cad"].items() if not name.startswith(("packing.", "latent_type"))}
    assert shapes["cccad"] == own
    assert plans["cccad"].run_name == "AD-cccad-darkroom-reference-seed0"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preset": "darkroom-toymeta"}, "says 'darkroom', .* or 'dark_key_to_door'"),
        ({"positions": "rotary"}, "CAD's layout has learned absolute positions"),
        ({"compressor": CompressorPlan(latents=11, window=40)}, "at most 10 latents"),
        ({"compressor": CompressorPlan(latents=4, heads=3, window=40)}, "heads of the compressor"),
        ({"compressor": CompressorPlan(latents=4, heads=2, window=41)}, "windows of 12 to 40 steps"),
    ],
)
def test_what_does_not_fit_is_refused(packing, tmp_path, changes, words):
    """Before anything is written."""
    with pytest.raises(PlanUnfitError, match=words):
        TrainingRun(tmp_path / "run", packing.model_copy(update=changes))
    assert not (tmp_path / "run").exists()
