"""Replay: the context of any step again, from the stored rollout, and through the policy with a tape on.

Only the window's transitions and the query are read; of a policy that packs its history, all transitions since the
rollout began, which are packed again. What comes out is compared with what the capture stored of the
same step (logits, entropies, and the decision row where there is one), so that a wrong context, another checkpoint or
damaged data gives an error and never a map. Knows nothing of HTTP, processes or caches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Integer, Shaped
from torch import Tensor

from attnscope_model.acting.context import actions_taken, features
from attnscope_model.acting.packing import PackedHistory
from attnscope_model.acting.tape import AttentionTape
from attnscope_model.errors import NotReplayableError, ReplayDiffersError
from attnscope_model.forward.compressing import CompressingPolicy
from attnscope_model.forward.policy import Policy
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.kinds.capture.agreement import RELATIVE, SUBNORMAL
from attnscope_storage.reading.decoded import DecodedChunks
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.shades import U8_ERROR
from attnscope_storage.wire import PolicyDescription

SLACK: Final = 5e-5
"""Change of a weight in float32 on another machine or in another batch, at most, besides float16 rounding."""

LOOSE: Final = 1e-4
"""The same for logits and entropies, relative above 1."""


@dataclass(frozen=True)
class Moment:
    """The input of a decision: the transitions in its window, oldest first, and the query."""

    step: int
    env: int
    """Entry of the capture's env axis."""
    observation: Shaped[np.ndarray, "transition ..."]
    action: Shaped[np.ndarray, "transition ..."]
    reward: Float[np.ndarray, " transition"]
    next_observation: Shaped[np.ndarray, "transition ..."]
    query: Shaped[np.ndarray, "*feature"]
    packed: bool = False
    """True where these are all transitions since the rollout began, which the policy packs."""

    @property
    def held(self) -> int:
        """Transitions in the window."""
        return len(self.action)

    @property
    def start(self) -> int:
        """Transition index of the oldest transition in the window."""
        return self.step - self.held


@dataclass(frozen=True)
class Replayed:
    """The result of one forward over a rebuilt context."""

    moment: Moment
    tokens: Float[Tensor, "1 token width"]
    """Without positions."""
    maps: Float[Tensor, "layer head query slot"]
    logits: Float[Tensor, " action"]
    summaries: int = 0
    """Latents at the front of the context."""


def read_moment(chunks: DecodedChunks, reader: CaptureReader, step: int, env: int) -> Moment:
    """Return what the decision at a step was made from.

    Parameters
    ----------
    chunks
        Decodes what is read and keeps it.
    step
        Environment step, from 0.
    env
        Entry of the env axis.

    Raises
    ------
    NotCommittedError
        The step is not committed.
    NotReplayableError
        The context was compressed, so that the rollout alone does not determine it.
    ReplayDiffersError
        Stored length, start and step do not fit each other, or a transition was never written.
    ChunkLostError, ChunkDamagedError
        A chunk of the window is missing, or does not decode.
    """
    if step >= reader.steps_committed:
        raise NotCommittedError(f"step {step} asked for, {reader.steps_committed} committed")
    packed = reader.policy.window == "compressed"
    if "context/transition_first" in reader.root.arrays and not packed:
        raise NotReplayableError("the context of this capture was compressed by a rule; it is not replayed")

    def stored(name: str, first: int, last: int) -> Shaped[np.ndarray, "step ..."]:
        return chunks.steps(reader, name, first, last, env)

    length, start = (int(stored(f"context/{name}", step, step + 1)[0]) for name in ("length", "start"))
    per = reader.policy.tokens_per_transition
    tokens = (step - start) * per + 1
    if packed:
        tokens += int(stored("context/summaries", step, step + 1)[0])
    if not 0 <= start <= step or length != tokens:
        raise ReplayDiffersError(
            f"step {step}, env {env}: expected {per} tokens of each transition from {start} on and a query, "
            f"got a context of {length} tokens"
        )
    start = 0 if packed else start
    action = stored("rollout/action", start, step)
    if not _written(action, reader.policy):
        raise ReplayDiffersError(f"step {step}, env {env}: the window holds a transition that was never written")
    return Moment(
        step=step,
        env=env,
        observation=stored("rollout/observation", start, step),
        action=action,
        reward=stored("rollout/reward", start, step),
        next_observation=stored("rollout/next_observation", start, step),
        query=np.asarray(stored("rollout/observation", step, step + 1)[0]),
        packed=packed,
    )


def _written(action: Shaped[np.ndarray, "transition ..."], policy: PolicyDescription) -> bool:
    """Return whether every action is one that the policy has."""
    if policy.output.continuous:
        return bool(np.isfinite(action).all())
    return bool(((action >= 0) & (action < np.array(policy.output.branches or policy.actions))).all())


def history_tokens(policy: Policy, moment: Moment, device: torch.device) -> Float[Tensor, "transition token width"]:
    """Return the tokens of each transition, embedded in one call."""
    description = policy.description
    if moment.held == 0:
        return torch.zeros(0, description.tokens_per_transition, description.width, device=device)
    embedded = policy.embed_transition(
        features(moment.observation, device),
        actions_taken(moment.action, device),
        torch.from_numpy(np.asarray(moment.reward, dtype=np.float32)).to(device),
        features(moment.next_observation, device),
    )
    return policy.stamp(embedded, torch.arange(moment.start, moment.step, device=device))


def query_tokens(policy: Policy, moment: Moment, device: torch.device) -> Float[Tensor, "1 1 width"]:
    """Return the query's token."""
    return policy.stamp(policy.embed_query(features(moment.query[None], device)), moment.step)


def joined(
    description: PolicyDescription,
    history: Float[Tensor, "env transition token width"],
    query: Float[Tensor, "1 1 width"],
) -> Float[Tensor, "env slot width"]:
    """Return contexts of the same query: every transition's tokens in order, the query where the policy wants it."""
    flat = history.flatten(1, 2)
    queries = query.expand(len(flat), -1, -1)
    return torch.cat([queries, flat] if description.query_slot == "first" else [flat, queries], dim=1)


def replay(policy: Policy, moment: Moment, device: torch.device) -> Replayed:
    """Run the policy over the rebuilt context and return every layer's attention.

    Raises
    ------
    CaptureInvalidError
        A layer did not record, or a row does not sum to 1.
    """
    history, query = history_tokens(policy, moment, device), query_tokens(policy, moment, device)
    if moment.packed and isinstance(policy, CompressingPolicy):
        return _packed(policy, moment, history, query)
    tokens = joined(policy.description, history[None], query)
    with AttentionTape(policy, maps=True) as tape:
        logits = policy(tokens)
    maps = tape.maps
    assert maps is not None  # noqa: S101 - asked for
    return Replayed(moment, tokens, maps[0], logits[0])


def _packed(
    policy: CompressingPolicy,
    moment: Moment,
    history: Float[Tensor, "transition token width"],
    query: Float[Tensor, "1 1 width"],
) -> Replayed:
    """Pack a whole history again, transition by transition, and run the policy over the context that this leaves."""
    held = PackedHistory(policy.compressor, policy.description.tokens_per_transition)
    for transition in history:
        held.append(transition[None])
    tokens = held.tokens(query)
    with AttentionTape(policy, maps=True) as tape:
        logits = policy(tokens, held.summaries)
    maps = tape.maps
    assert maps is not None  # noqa: S101 - asked for
    return Replayed(moment, tokens, maps[0], logits[0], held.summaries)


def check(replayed: Replayed, chunks: DecodedChunks, reader: CaptureReader) -> None:
    """Compare a replayed decision with everything that the capture stored of it.

    Logits and entropies are stored of every step; decision rows of some, in float16, which rounds a weight `a` by at
    most ``a·2⁻¹¹`` or 2⁻²⁵, or as a byte each, which rounds it by `U8_ERROR` at most.

    Raises
    ------
    ReplayDiffersError
        They differ by more than float16 and another machine's float32 can: the checkpoint, the code or the rollout is
        not what the capture was made with.
    """
    step, env, policy = replayed.moment.step, replayed.moment.env, reader.policy

    def stored(name: str) -> Float[np.ndarray, ...]:
        return np.asarray(chunks.steps(reader, name, step, step + 1, env)[0], dtype=np.float64)

    rows = replayed.maps[:, :, -1].double()
    pairs = [
        (policy.output.array.partition("/")[2], replayed.logits.double().cpu().numpy(), stored(policy.output.array)),
        ("entropy", torch.special.entr(rows).sum(dim=-1).cpu().numpy(), stored("stats/entropy")),
    ]
    for name, now, then in pairs:
        _require_near(name, replayed.moment, now, then, LOOSE * np.maximum(1.0, np.abs(then)))
    row = _stored_row(chunks, reader, step, env)
    if row is not None:
        layers, heads = _kept(chunks, reader, "layer"), _kept(chunks, reader, "head")
        weights = rows.cpu().numpy()[np.ix_(layers, heads)]
        then = row[..., : weights.shape[-1]]
        shades = reader.root.arrays["attention/rows"].dtype == "uint8"
        rounded = np.full(then.shape, U8_ERROR) if shades else RELATIVE * np.abs(then)
        _require_near("decision row", replayed.moment, weights, then, SLACK + rounded + SUBNORMAL)


def _require_near(
    name: str,
    moment: Moment,
    now: Float[np.ndarray, "*axes"],
    then: Float[np.ndarray, "*axes"],
    tolerance: Float[np.ndarray, "*axes"],
) -> None:
    near = np.abs(now - then) <= tolerance  # false where either is NaN
    if not near.all():
        off = float(np.abs(now - then).max())
        raise ReplayDiffersError(
            f"step {moment.step}, env {moment.env}: the replayed {name} is up to {off:.2g} away from the stored one, "
            "so it is not the same decision: the checkpoint or the capture was changed, or it was computed in another "
            "precision"
        )


def _stored_row(
    chunks: DecodedChunks, reader: CaptureReader, step: int, env: int
) -> Float[np.ndarray, "layer head slot"] | None:
    """Return the stored decision row, None where the capture keeps none of this step and environment."""
    every = int(reader.attributes["row_every"])
    if "attention/rows" not in reader.root.arrays or step % every:
        return None
    entries = np.flatnonzero(chunks.entries(reader, "attention/row_env") == env)
    if not len(entries):
        return None
    place = step // every
    row = chunks.steps(reader, "attention/rows", place, place + 1, int(entries[0]))[0]
    return np.asarray(row, dtype=np.float64)


def _kept(chunks: DecodedChunks, reader: CaptureReader, axis: str) -> Integer[np.ndarray, " kept"]:
    """Return the layers or heads that rows are stored of."""
    name = f"attention/row_{axis}"
    if name in reader.root.arrays:
        return chunks.entries(reader, name)
    return np.arange(getattr(reader.policy, f"{axis}s"))
