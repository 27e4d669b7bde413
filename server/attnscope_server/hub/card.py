"""The card of a checkpoint in the Hub's form: YAML between two lines of dashes, then text.

It says what the registry knows, and nothing of how good the policy is: that is measured, not registered.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from attnscope_server.capturing.action_fit import ActionShape
from attnscope_server.errors import HubRefusedError
from attnscope_storage.wire import CheckpointInfo

LICENSE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,40}")
"""The Hub's word for a licence, such as mit or apache-2.0."""

_GREEDY: Final = {"choice": "the most likely", "gaussian": "the mean", "vector": "what its head gives"}
"""Action of a policy that does not sample, by the kind of its head."""

_POSITIONS: Final = {
    "learned-absolute": "learned absolute positions",
    "sinusoidal": "sinusoidal positions",
    "rotary": "rotary positions",
    "alibi": "ALiBi's penalties by distance",
    "relative": "a learnt bias by distance",
    "none": "no positions",
}


def hub_card(info: CheckpointInfo, licence: str | None) -> str:
    """Return the card of a registered checkpoint.

    Parameters
    ----------
    info
        Its entry.
    licence
        The Hub's word for the licence; left out where None, as nobody but its owner can say it.

    Raises
    ------
    HubRefusedError
        The licence is no such word.
    """
    if licence is not None and LICENSE.fullmatch(licence) is None:
        raise HubRefusedError(f"expected the Hub's word for a licence, such as mit or apache-2.0, got {licence[:60]!r}")
    front = {
        "library_name": "attnscope",
        "pipeline_tag": "reinforcement-learning",
        **({} if licence is None else {"license": licence}),
        "tags": ["in-context-reinforcement-learning", "attnscope", info.policy.family, info.preset],
    }
    head = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n# {_plain(info.name)}\n\n{_about(info)}\n\n{_USE}\n"


def _about(info: CheckpointInfo) -> str:
    policy = info.policy
    mask = "causal" if policy.causal else "non-causal"
    acts = "drawn by chance" if info.sampling == "sample" else _GREEDY[policy.output.kind]
    shape = ActionShape(policy.actions, policy.output.branches, policy.output.continuous)
    sizes = f"{policy.layers} layers, {policy.heads} heads, width {policy.width}, {policy.parameters:,} parameters"
    tasks = [_counted(some) for some in (info.train_tasks, info.validation_tasks, info.held_out_tasks)]
    positions = _POSITIONS.get(policy.positions, policy.positions)
    stack = f"{sizes}, {positions}, {mask} (mask stated by {info.causal_stated_by})"
    lines = [
        f"A policy of the family `{policy.family}`: {stack}.\n",
        f"- Context: {policy.context_length} tokens, {policy.tokens_per_transition} a transition.",
        f"- Acts in {_plain(info.preset)}; an action: {shape.words}, {acts}.",
        f"- Tasks: {tasks[0]} trained on, {tasks[1]} used to choose, {tasks[2]} held out.",
        f"- Training step: {'unknown' if info.train_step is None else info.train_step}.",
        f"- Identity: `{info.id}` (sha256 over weights and configuration).",
    ]
    if info.stated:
        said = ", ".join(f"{name} {_plain(str(answer))}" for name, answer in info.stated.items())
        lines.append(f"- Stated by its user, as the file does not say it: {said}.")
    return "\n".join([*lines, *(f"- Note: {_plain(note)}" for note in info.notes)])


_USE: Final = """## Use

Put this text as `README.md` beside `model.safetensors`, `config.json` and `entry.json` of the registered folder.
Whoever has attnscope then adds it by its commit, where the operator has switched that on:

```sh
attnscope-server checkpoint add hf://OWNER/NAME@COMMIT
```"""


def _counted(tasks: tuple[int, ...] | None) -> str:
    return "unknown" if tasks is None else str(len(tasks))


def _plain(text: str) -> str:
    """Return foreign text on one line, with what Markdown and HTML would read spelled out."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:500])
    return re.sub(r"([\\`*<>\[\]|#])", r"\\\1", shown)
