"""Acceptance of replay: for every family that loads, a captured rollout comes back, whole maps against NumPy's."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from attnscope_model.acting.context import ContextWindow
from attnscope_model.acting.influence import attention_rollout, leave_one_out, value_weighted
from attnscope_model.acting.replay import check, read_moment, replay
from attnscope_model.checkpoints.native import FAMILIES, load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.families.ad import FAMILY
from attnscope_model.forward.stack import StackedPolicy
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec
from forwards import layouts, packing_layouts
from forwards import numpy_forwards as forwards
from native import register_native
from reading_here import reading_here

CPU = torch.device("cpu")
STEPS = 40
"""Past the slide of every layout's window, which is 24 tokens."""


NATIVE = {f"native-{kind}": kind for kind in ("learned-absolute", "rotary", "alibi", "relative")}
EVERY = [*layouts.LAYOUTS, *NATIVE]


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """Return the policy and the finished capture of every layout."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("captures")
    registry = CheckpointRegistry(folder / "checkpoints")

    found = {}
    with reading_here():
        for name, layout in layouts.LAYOUTS.items():
            file = folder / f"{name}.pt"
            torch.save(layout.content(), file)
            if layout.bare and layout.config:
                file.with_name(f"{name}.pt.yaml").write_text(json.dumps(dict(layout.config)))
            registry.add(file, name=name, **layout.stated)
    for name, kind in NATIVE.items():
        register_native(registry, name, kind)
    for name in EVERY:
        info, policy = registry.get(name), load_policy(registry.folder(name), CPU)
        spec = CaptureSpec(checkpoint=name, tasks={"split": "all", "indices": [3, 40]}, steps=STEPS)
        path = folder / f"{name}.zarr"
        run_capture(CaptureOrder(name, "tester", spec, resolve(spec, registry), path, durable=False), policy, info, CPU)
        found[name] = load_policy(registry.folder(name), CPU), CaptureReader.open(path)
    return found


def plain(layout, moment):
    """Return the independent forward's logits and maps of a moment."""
    weights = {name: tensor.double().numpy() for name, tensor in layout.state().items()}
    forward = getattr(forwards, layout.forward)
    return forward(weights, {**layout.config, **layout.facts}, moment)


def history(moment):
    """Return a moment as the independent forward takes it."""
    rewards = moment.reward.astype(float)
    return forwards.History(moment.observation, moment.action, rewards, moment.next_observation, moment.query)


def test_no_family_is_left_out():
    """There is a checkpoint here of every family that loads; those that remember or pack have tests of their own."""
    remembering = {layout.family for layout in (layouts.REMEMBERING | packing_layouts.PACKING).values()}
    assert {layout.family for layout in layouts.LAYOUTS.values()} | {FAMILY} == set(FAMILIES) - remembering


@pytest.mark.parametrize("name", EVERY)
def test_every_step_is_what_was_stored_and_what_numpy_says(captures, name):
    """Each decision passes the comparison with its stored row, logits and entropies; maps equal NumPy's to 1e-5."""
    policy, reader = captures[name]
    chunks = DecodedChunks()
    for step in range(STEPS):
        with torch.inference_mode():
            found = replay(policy, read_moment(chunks, reader, step, step % 2), CPU)
            check(found, chunks, reader)
        stored = chunks.steps(reader, "attention/rows", step, step + 1, step % 2)[0].astype(float)
        row = found.maps[:, :, -1].numpy()
        n = row.shape[-1]
        assert (np.abs(row - stored[..., :n]) <= 1e-5 + 2.0**-11 * row).all()
        assert np.isnan(stored[..., n:]).all()
        if step in {0, 1, 9, STEPS - 1} and name in layouts.LAYOUTS:
            logits, maps = plain(layouts.LAYOUTS[name], history(found.moment))
            assert np.abs(found.maps.numpy() - maps).max() < 1e-5
            assert np.abs(found.logits.numpy() - logits).max() < 1e-5
    assert found.moment.start > 0


@pytest.mark.parametrize("name", EVERY)
def test_leaving_out_is_what_the_rollouts_own_window_gives(captures, name):
    """Packed anew, the policy without a transition is the one whose window never held it, in every family's tokens."""
    policy, reader = captures[name]
    with torch.inference_mode():
        found = replay(policy, read_moment(DecodedChunks(), reader, STEPS - 1, 0), CPU)
        at = found.moment
        left_out = torch.tensor([0, 3, at.held - 1])
        kl = leave_one_out(policy, found, left_out, "reindex").numpy()
        masked = leave_one_out(policy, found, left_out, "mask").numpy()
        full = torch.log_softmax(found.logits, -1)
        for place, value in zip(left_out.tolist(), kl, strict=True):
            window = ContextWindow(policy, 1, CPU)
            for i in set(range(at.held)) - {place}:
                step = (at.observation, at.action, at.reward, at.next_observation)
                window.append(*(part[i : i + 1] for part in step))
            without = torch.log_softmax(policy(window.tokens(at.query[None]))[0], -1)
            expected = (full.exp() * (full - without)).sum().item()
            assert value == pytest.approx(expected, rel=1e-2, abs=1e-6)
    assert np.isfinite(masked).all()
    assert max(masked.max(), kl.max()) > 1e-6
    if policy.description.query_slot == "first":  # nothing stands behind the newest, so that nothing moves
        assert masked[-1] == pytest.approx(kl[-1], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_value_weighting_adds_up_to_what_attention_adds(captures, name):
    """Summed over slots and heads, the moved vectors are what the layer makes of its heads: nothing is left out."""
    policy, reader = captures[name]
    assert isinstance(policy, StackedPolicy)
    with torch.inference_mode():
        found = replay(policy, read_moment(DecodedChunks(), reader, STEPS - 1, 1), CPU)
        weighted = value_weighted(policy, found)
        rolled = attention_rollout(found.maps)
        x = policy.place(found.tokens)
        for number, layer in enumerate(policy.layers()):
            _, _, values = layer.project(x)
            linear = next(m for m in layer.modules() if getattr(m, "weight", None) is layer.output())
            joined = (found.maps[number] @ values[0]).transpose(0, 1).flatten(1)
            moved = torch.einsum("hqk,hks,whs->hqkw", found.maps[number], values[0], heads_of(layer, values))
            bias = 0.0 if linear.bias is None else linear.bias
            assert torch.allclose(moved.sum((0, 2)) + bias, linear(joined), atol=1e-4)
            assert torch.allclose(moved.norm(dim=-1), weighted[number], atol=1e-4)
            onward = layer.forward(x)
            assert torch.allclose(layer.finish(x, (found.maps[number] @ values[0])[None]), onward, atol=1e-4)
            x = onward
    assert (rolled.sum(-1) - 1).abs().max() < 1e-5


def heads_of(layer, values):
    """Return the output map of each head [width, head, size]."""
    return layer.output().view(-1, values.shape[1], values.shape[-1])
