"""The lines of a card that are run: those for a loop of one's own, and the command that asks for the decision again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from attnscope_model.strategies import Strategy, looks_at_attention, strategy
from attnscope_model.strategies.fitting import ATTENTION
from attnscope_model.strategies.learned import Latents
from attnscope_storage.wire import PolicyDescription, TaskChoice
from attnscope_storage.wire.specifications.cards import CardArm
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision

STANDS: Final = MappingProxyType(
    {
        "keep": "each kept token has the position of the slot that it had in the whole window, the query its own",
        "reindex": "the kept tokens have the positions from 0 on, the query the next one",
        "right_align": "the query has the last position, the kept tokens those just before it",
    }
)
"""Positions of tokens under each position policy."""


def paste(arm: CardArm, policy: PolicyDescription) -> str:
    """Return Python lines that put an arm into a loop of one's own, whose embedded tokens have no positions yet.

    A stateless arm selects from the whole stored window every time, so each selection begins anew; a stateful one hands
    on what it kept.
    """
    rule = strategy(arm.strategy, **arm.parameters)
    if isinstance(rule, Latents):
        return _packing(arm)
    given = "".join(f", {name}={value!r}" for name, value in arm.parameters.items())
    options = [f"budget={policy.transitions if arm.budget is None else arm.budget}", f"window={policy.transitions}"]
    interval = policy.transitions if arm.interval == "full" else arm.interval
    stateful, looks = arm.memory == "stateful", looks_at_attention(rule)
    if stateful and interval != 1:
        options.append(f"interval={interval}")
    if policy.query_slot != "last":
        options.append(f'query_slot="{policy.query_slot}"')
    if policy.tokens_per_transition != 1:
        options.append(f"tokens_per_transition={policy.tokens_per_transition}")
    if looks and not stateful:
        options.append('attention_of="context"')
    arguments = "window" + (", attention_weights" if looks else "") + (", facts" if _facts(rule) else "")
    made = f'ContextCompressor(strategy("{arm.strategy}"{given}), {", ".join(options)})'
    lines = ["from attnscope_model.strategies import ContextCompressor, strategy"]
    if stateful:
        lines.append(f"compressor = {made}")
        lines.append("# once a step; `window` is what the last call kept, the new transition, the query:")
        lines.append(f"window = compressor.compress_context({arguments})")
    else:
        often = "once a step" if interval == 1 else f"at every {interval}th step; in between, new transitions join"
        lines.append(f"# {often}; `window` is the whole stored window, torch [env, token, width], with the query:")
        lines.append(f"tokens = {made}.compress_context({arguments})")
    if _facts(rule):
        lines.append(f"# facts: a dictionary of {', '.join(_facts(rule))}")
    return "\n".join((*lines, f"# positions {arm.positions}: {STANDS[arm.positions]}"))


def _packing(arm: CardArm) -> str:
    """Return the lines of an arm that packs: contexts of its own, since no rule chooses latents among tokens."""
    given = "".join(f", {name}={value!r}" for name, value in arm.parameters.items())
    lines = (
        "from attnscope_model.compression import Compression",
        "from attnscope_model.compression.deciding import CompressedDecider",
        "from attnscope_model.strategies import strategy",
        f'rule = Compression(strategy("{arm.strategy}"{given}))',
        "decider = CompressedDecider(policy, [rule], torch.arange(envs), device)",
        "# once a step: logits = decider.decide(observation), and when the environments have been stepped,",
        "# decider.append(observation, action, reward, next_observation, ended); it packs where it is time to",
    )
    return "\n".join(lines)


def _facts(rule: Strategy) -> list[str]:
    """Return what a rule looks at beside tokens and attention."""
    return sorted(rule.uses - ATTENTION - {"influence"})


def command(spec: DecisionSpec, resolved: ResolvedDecision) -> str:
    """Return the command that asks for the same decision."""
    return shlex.join(["attnscope", "decide", resolved.checkpoint_id[:12], *_place(spec), *_options(spec)])


def _place(spec: DecisionSpec) -> Iterator[str]:
    """Yield the options of environment, tasks and sampling that were said."""
    environment, choice, sampling = spec.environment, spec.tasks, spec.sampling
    if environment is not None:
        yield from () if environment.id is None else ("--env", environment.id)
        for name, value in environment.kwargs.items():
            yield from ("--env-kwarg", f"{name}={json.dumps(value)}")
    yield from _tasks(choice, "--")
    if spec.screening is not None:
        yield from _tasks(spec.screening, "--screening-")
    if sampling.mode is not None:
        yield "--greedy" if sampling.mode == "greedy" else "--sample"
    if sampling.temperature != 1:
        yield from ("--temperature", str(sampling.temperature))


def _tasks(choice: TaskChoice, begins: str) -> Iterator[str]:
    yield from () if choice.split is None else (f"{begins}split", choice.split)
    yield from () if choice.indices is None else (f"{begins}tasks", ",".join(map(str, choice.indices)))
    for goal in choice.goals or ():
        yield from (f"{begins}goal", ",".join(map(str, goal)))


def _options(spec: DecisionSpec) -> Iterator[str]:
    """Yield the options of the procedure that differ from their defaults."""
    options = spec.model_dump(mode="json", exclude_defaults=True)
    for name in ("margin", "worth", "episodes", "most_rollouts", "screened", "path"):
        if name in options:
            yield from (f"--{name.replace('_', '-')}", str(options[name]))
    yield from () if spec.capture is None else ("--from", str(spec.capture))
    if "seeds" in options:
        yield from ("--seeds", str(spec.seeds[0]))
    for name, flag in (("budgets", "--budget"), ("positions", "--positions"), ("memories", "--memory")):
        for value in options.get(name) or ():
            yield from (flag, str(value))
    yield from (f"--{name}" for name in ("extendable", "beyond", "quick") if options.get(name))
