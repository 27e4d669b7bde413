"""Training under a compression: its decisions against the compressed decider's, what it learns, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope_model.compression import Compression
from attnscope_model.compression.deciding import CompressedDecider
from attnscope_model.families.ad import ADConfig, ADPolicy
from attnscope_model.strategies import strategy
from attnscope_model.training.compressed import Under, compressed_logits, why_untrainable
from attnscope_model.training.trainer import Recipe, Trainer, initialise
from attnscope_model.training.windows import Batch, HistoryArrays

CPU = torch.device("cpu")
STEPS, WINDOWS, HORIZON = 14, 3, 5

RULES = {
    "recency:4": Compression(strategy("recency"), 4, "keep"),
    "recency:40%": Compression(strategy("recency"), 0.4, "reindex"),
    "rewards:50%": Compression(strategy("rewards"), 0.5, "keep"),
    "rewards:4, every 3": Compression(strategy("rewards"), 4, "keep", interval=3),
    "episodes:90%": Compression(strategy("episodes", episodes=1), 0.9, "reindex"),
    "dedup:60%": Compression(strategy("dedup"), 0.6, "keep"),
    "hierarchical:50%": Compression(strategy("hierarchical"), 0.5, "reindex"),
    "random:5": Compression(strategy("random"), 5, "right_align"),
}


def policy(positions) -> ADPolicy:
    """Return a small random policy; one with a clock turns as well."""
    clock = {"positions": "rotary", "clock_steps": HORIZON, "clock_episodes": 2} if positions == "clock" else {}
    sizes = {"positions": positions, "width": 16, "layers": 3, "heads": 2, "feedforward": 32} | clock
    made = ADPolicy(ADConfig((5, 5), 5, STEPS, **sizes))
    initialise(made, seed=3)
    return made


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Return three random windows, some of whose rewards are 0."""
    rng = torch.Generator().manual_seed(0)
    cells = torch.randint(0, 5, (2, WINDOWS, STEPS, 2), generator=rng)
    actions = torch.randint(0, 5, (WINDOWS, STEPS), generator=rng)
    rewards = torch.randint(0, 2, (WINDOWS, STEPS), generator=rng).float()
    return Batch(cells[0], actions, rewards, cells[1])


def acted(made, batch, setup, first_lane, start=0) -> torch.Tensor:
    """Return the logits [window, step, action] of the compressed decider on the same transitions.

    The rollout begins so many steps after an episode began.
    """
    decider = CompressedDecider(made, [setup], first_lane + torch.arange(WINDOWS), CPU)
    logits = []
    with torch.no_grad():
        for step in range(STEPS):
            arrays = (batch.observations[:, step], batch.actions[:, step], batch.rewards[:, step])
            logits.append(decider.decide(arrays[0].numpy()))
            ended = np.full(WINDOWS, (start + step) % HORIZON == HORIZON - 1)
            decider.append(*(one.numpy() for one in arrays), batch.next_observations[:, step].numpy(), ended)
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("positions", ["learned-absolute", "rotary", "clock"])
def test_training_decides_as_the_compressed_policy_does(batch, positions, rule):
    """At every prefix the logits are those of the compressed evaluation, to 1e-5."""
    made, setup = policy(positions), RULES[rule]
    trained = compressed_logits(made, batch, Under(setup, HORIZON), range(STEPS), first_lane=7)
    assert (trained.detach() - acted(made, batch, setup, 7)).abs().max() < 1e-5


def test_a_window_that_was_cut_within_an_episode_knows_where_episodes_begin(batch):
    """A rule by episodes keeps those of the history, not those counted from the window's first step."""
    made, first = policy("rotary"), torch.tensor([0, 2, 13])
    setup = Compression(strategy("episodes", episodes=1), 0.9, "reindex")
    cut = Batch(batch.observations, batch.actions, batch.rewards, batch.next_observations, first=first)
    trained = compressed_logits(made, cut, Under(setup, HORIZON), range(STEPS))
    for window, start in enumerate(first.tolist()):
        assert (trained[window].detach() - acted(made, batch, setup, 0, start)[window]).abs().max() < 1e-5


def test_the_rules_of_this_test_leave_something_out(batch):
    """Every compressed decision differs from the whole context's somewhere: the test above can fail."""
    made = policy("learned-absolute")
    whole = acted(made, batch, Compression(strategy("none")), 0)
    for setup in RULES.values():
        assert (acted(made, batch, setup, 0) - whole).abs().max() > 1e-3


def test_gradients_reach_every_weight(batch):
    """The loss of compressed contexts moves embeddings, positions and layers."""
    made = policy("learned-absolute")
    compressed_logits(made, batch, Under(RULES["recency:40%"], HORIZON), (3, 9, 13)).square().sum().backward()
    assert all(weights.grad is not None and weights.grad.abs().max() > 0 for weights in made.parameters())


@pytest.mark.parametrize(
    ("setup", "reason"),
    [
        (Compression(strategy("h2o"), 4), "chooses by the attention"),
        (Compression(strategy("snapkv"), 4), "chooses by the attention"),
        (Compression(strategy("leave-one-out"), 4), "oracle"),
        (Compression(strategy("recency"), None), "without a budget"),
        (Compression(strategy("recency"), 4, memory="stateful"), "not trained"),
        (Compression(strategy("recency"), 4, interval="full"), "only when it is full"),
        (Compression(strategy("recency"), 4, "mask"), "mask is an oracle"),
    ],
)
def test_what_cannot_be_trained_under_is_refused_in_words(setup, reason):
    """Rules that look at attention, oracles, and contexts that training does not make."""
    assert reason in (why_untrainable(setup) or "")


def test_steps_are_spread_over_the_window_and_the_same_again():
    """One step of each equal part; another training step draws others."""
    under = Under(RULES["recency:4"], HORIZON, decisions=5)
    drawn = under.steps(0, 3, 20)
    assert [step // 4 for step in drawn] == [0, 1, 2, 3, 4]
    assert drawn == under.steps(0, 3, 20)
    assert len({under.steps(0, step, 20) for step in range(10)}) > 1
    assert under.steps(0, 3, 4) == (0, 1, 2, 3)


def remembering() -> HistoryArrays:
    """Return histories whose target is the cell of their first transition, the only rewarded one."""
    rng = np.random.default_rng(0)
    cells, actions = rng.integers(0, 2, (16, 15, 1)), rng.integers(0, 2, (16, 14))
    rewards = np.zeros((16, 14))
    rewards[:, 0] = 1
    meant = np.repeat(cells[:, :1, 0], 14, axis=1)
    return HistoryArrays(cells[:, :-1], actions, rewards, cells[:, 1:], meant)


def trained_under(setup, steps=45) -> Trainer:
    """Return the trainer of a tiny policy after its steps under a compression."""
    made = ADPolicy(ADConfig((2,), 2, 14, "rotary", width=16, layers=1, heads=2, feedforward=32))
    initialise(made, 0)
    recipe = Recipe(steps=80, batch=8, learning_rate=1e-2, warmup=5)
    trainer = Trainer(made, remembering(), recipe, Under(setup, 14, decisions=5))
    for _ in range(steps):
        trainer.advance()
    return trainer


def test_a_policy_learns_what_its_rule_keeps_and_nothing_else():
    """Under a rule that keeps rewarded transitions it learns to look at one; under the newest three it cannot."""
    losses = {}
    for name in ("rewards", "recency"):
        trainer = trained_under(Compression(strategy(name), 3))
        losses[name] = np.mean([trainer.advance() for _ in range(5)])
    assert losses["rewards"] < 0.1
    assert losses["recency"] > 0.35


def test_an_interruption_changes_no_bit():
    """A trainer that goes on from another's state ends with the same weights."""
    whole = trained_under(RULES["rewards:50%"], steps=6)
    first = trained_under(RULES["rewards:50%"], steps=3)
    second = trained_under(RULES["rewards:50%"], steps=0)
    second.restore(first.state())
    for _ in range(3):
        second.advance()
    assert all(
        torch.equal(one, other)
        for one, other in zip(whole.policy.parameters(), second.policy.parameters(), strict=True)
    )
