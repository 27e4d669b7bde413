"""The cache of a growing window: the same numbers as recompute, for any tokens a transition, and only there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_env import preset, terminal_observations
from attnscope_model.acting.deciding import Decider
from attnscope_model.acting.tape import AttentionTape, refuse_off
from attnscope_model.errors import CaptureInvalidError
from attnscope_model.families.reference import ReferenceConfig, ReferencePolicy
from attnscope_model.forward.cache import GrowingCache, cacheable

CPU = torch.device("cpu")


class TwoTokens(ReferencePolicy):
    """A causal policy whose transitions are two tokens."""

    def __init__(self, config):
        super().__init__(config)
        self.description = self.description.model_copy(
            update={"tokens_per_transition": 2, "token_kinds": ("state", "action")}
        )

    def embed_transition(self, observation, action, reward, next_observation):
        """Return the one token twice, the second shifted."""
        one = super().embed_transition(observation, action, reward, next_observation)
        return torch.cat([one, one + 0.5], dim=1)


@pytest.fixture(scope="module")
def two_tokens():
    """Return a small random policy with two tokens a transition."""
    torch.manual_seed(3)
    config = ReferenceConfig(32, 3, 4, 24, 64, 9, 5, causal=True)
    policy = TwoTokens(config)
    torch.nn.init.normal_(policy.pos_embedding)
    return policy.eval().requires_grad_(requires_grad=False)


def random_steps(steps, envs, seed=0):
    """Yield random transitions."""
    random = np.random.default_rng(seed)
    for _ in range(steps):
        cells = random.integers(0, 9, (2, envs, 2))
        yield cells[0], random.integers(0, 5, envs), random.integers(0, 2, envs).astype(float), cells[1]


@pytest.mark.parametrize("envs", [1, 5])
@pytest.mark.parametrize("kind", ["causal", "two_tokens"])
def test_cached_decisions_are_those_of_recompute(policies, two_tokens, kind, envs):
    """Over the whole growing window and past its slide, logits, rows and maps agree with a full forward to 1e-5."""
    policy = two_tokens if kind == "two_tokens" else policies["causal"]
    decider = Decider(policy, envs, CPU)
    for step, (before, action, reward, after) in enumerate(random_steps(decider.window.capacity + 5, envs)):
        assert decider.caches(step) == (step <= decider.window.capacity)
        decision = decider.decide(before, rows=True, maps=step % 10 == 3)
        with AttentionTape(policy, maps=True) as tape:
            logits = policy(decider.window.tokens(before))
        assert (decision.logits - logits).abs().max() < 1e-5
        assert (decision.rows - tape.rows).abs().max() < 1e-5
        if step % 10 == 3:
            n = tape.maps.shape[-1]
            assert decision.maps[..., :n, :n].isfinite().all()
            assert (decision.maps[..., :n, :n] - tape.maps).abs().max() < 2**-11 + 1e-5  # float16
            assert decision.maps[..., n:, :].isnan().all()
            assert decision.maps[..., n:].isnan().all()
        decider.append(before, action, reward, after)


def test_recording_changes_no_bit(policies):
    """With rows, with maps now and then, or with nothing recorded, cached logits are bitwise equal."""
    deciders = [Decider(policies["causal"], 3, CPU) for _ in range(3)]
    for step, transition in enumerate(random_steps(110, 3)):
        bare, rows, maps = (
            decider.decide(transition[0], rows=kind > 0, maps=kind == 2 and step % 7 == 0).logits
            for kind, decider in enumerate(deciders)
        )
        assert torch.equal(bare.view(torch.int32), rows.view(torch.int32))
        assert torch.equal(bare.view(torch.int32), maps.view(torch.int32))
        for decider in deciders:
            decider.append(*transition)


def test_a_query_leaves_no_trace(policies):
    """The query's keys and values are not kept: asking for another cell in between changes nothing."""
    asked, other = (Decider(policies["causal"], 2, CPU) for _ in range(2))
    for before, action, reward, after in random_steps(20, 2):
        other.decide((before + 3) % 9)
        one, two = asked.decide(before, rows=True), other.decide(before, rows=True)
        assert (one.logits - two.logits).abs().max() < 1e-5
        assert (one.rows - two.rows).abs().max() < 1e-5
        for decider in (asked, other):
            decider.append(before, action, reward, after)


def test_several_transitions_may_wait(policies):
    """A context that took transitions without deciding catches up at its next decision."""
    decider = Decider(policies["causal"], 2, CPU)
    for transition in random_steps(30, 2):
        decider.append(*transition)
    query = np.array([[1, 2], [7, 7]])
    logits = decider.decide(query).logits
    assert (logits - policies["causal"](decider.window.tokens(query))).abs().max() < 1e-5


def test_cached_greedy_rollouts_equal_the_golden_file(policies, golden):
    """Actions are the reference's from the first step past the slide; its logits agree to 1e-5."""
    expected = golden["causal"]
    reference = preset("darkroom-reference")
    environment = reference.make_vector([reference.task_of_goal(tuple(expected["goal"].tolist()))])
    decider = Decider(policies["causal"], 1, CPU)
    observation, _ = environment.reset()
    for step in range(140):
        logits = decider.decide(observation).logits
        assert np.abs(logits[0].numpy() - expected["greedy_logits"][step]).max() < 1e-5
        action = logits.argmax(-1).numpy()
        assert action[0] == expected["greedy_actions"][step]
        after, reward, _, _, infos = environment.step(action)
        decider.append(observation, action, reward, terminal_observations(after, infos))
        observation = after


def test_only_a_causal_policy_with_its_query_last_is_cached(policies):
    """Elsewhere a new token changes old ones, so there is no cache, and one that is asked for is refused."""
    assert cacheable(policies["causal"])
    assert not cacheable(policies["noncausal"])
    assert not Decider(policies["noncausal"], 1, CPU).caches(0)
    with pytest.raises(ValueError, match="causal"):
        GrowingCache(policies["noncausal"], 160)


@pytest.mark.parametrize("sums", ["at once", "by caller"])
def test_rows_that_do_not_sum_to_one_are_refused(policies, monkeypatch, name, sums):
    """A decision with broken rows raises at once, or its distance is there for the caller who looks at it later."""
    decider = Decider(policies[name], 2, CPU, sums=sums)

    def decide() -> None:
        decider.decide(np.array([[1, 2], [3, 4]]), rows=True)
        refuse_off(decider.off.item())

    decide()
    softmax = torch.softmax
    monkeypatch.setattr(torch, "softmax", lambda *a, **k: softmax(*a, **k) * 1.5)
    with pytest.raises(CaptureInvalidError, match="sum to 1"):
        decide()
