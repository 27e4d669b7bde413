"""Plug a strategy into an evaluation loop of your own, with an interval: accumulated attention at every tenth step.

The loop is that of the AD reference: one batch of embedded tokens that grows and slides, logits of the last one,
sampled actions. ``python examples/compress_a_loop.py [EPISODES]`` runs it on a shipped policy, with everything kept and
with 40 transitions. One seed and a few rooms show that it runs, not what it costs: that is what a trial is for.
"""

import sys

import torch

from attnscope_env import preset, terminal_observations
from attnscope_model.acting.context import features
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import shipped_checkpoints
from attnscope_model.strategies import ContextCompressor, strategy

EPISODES = int(sys.argv[1]) if len(sys.argv) > 1 else 20
ROOMS = 4
CPU = torch.device("cpu")

(shipped,) = (folder for folder in shipped_checkpoints() if folder.name.startswith("AD-darkroom-seed42"))
policy = load_policy(shipped, CPU)
darkroom = preset("darkroom-reference")
window = policy.description.context_length - 1


def evaluate(compressor: ContextCompressor | None) -> tuple[float, float]:
    """Return the mean return of an episode in the second half of the rollouts, and the mean context length."""
    torch.manual_seed(0)
    environments = darkroom.make_vector(darkroom.tasks("test")[:ROOMS])
    observation, _ = environments.reset()
    transformer_input = policy.embed_query(features(observation, CPU))
    rewards, lengths = [], []
    for _ in range(EPISODES * darkroom.horizon):
        with AttentionTape(policy) as tape:
            logits = policy(transformer_input)
        action = torch.multinomial(torch.softmax(logits, dim=-1), 1)[:, 0]
        following, reward, _, _, infos = environments.step(action.numpy())
        earned = torch.as_tensor(reward).float()
        rewards.append(earned.mean().item())
        lengths.append(transformer_input.shape[1])

        finished = features(terminal_observations(following, infos), CPU)
        transition = policy.embed_transition(features(observation, CPU), action, earned, finished)
        context = torch.cat([transformer_input[:, :-1], transition], dim=1)[:, -window:]
        observation = following
        transformer_input = torch.cat([context, policy.embed_query(features(observation, CPU))], dim=1)
        if compressor is not None:
            attention_weights = tape.rows.mean(dim=(1, 2))  # over layers and heads: [env, token]
            transformer_input = compressor.compress_context(transformer_input, attention_weights)
    late = rewards[len(rewards) // 2 :]
    return sum(late) / len(late) * darkroom.horizon, sum(lengths) / len(lengths)


with torch.inference_mode():
    for rule in (None, strategy("h2o", recent=0.5)):
        made = None if rule is None else ContextCompressor(rule, 40, interval=10)
        late_return, length = evaluate(made)
        print(f"{rule or 'everything'}: return {late_return:.2f} an episode, {length:.1f} tokens a decision")
