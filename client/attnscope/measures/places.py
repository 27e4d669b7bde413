"""Attention on marked places: episode starts, rewards, kinds of tokens, the state that the query is in.

A mark lies on a slot of a context. `slot_transitions` says which transition a slot holds; `marks_of` carries any label
of transitions to the slots that hold them. Tokens of one transition all carry its mark.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64, Shaped

from attnscope.measures.layout import QUERY_LAST, ContextLayout, ages, checked_length, weights

ABSENT = -1
"""Label of a slot that holds no transition: the query's own, and those past the context."""


def marks_of(
    label: Int[np.ndarray, "transition env"], transition: Int[np.ndarray, "step env slot"]
) -> Int64[np.ndarray, "step env slot"]:
    """Return the label of the transition in each slot, `ABSENT` where there is none.

    Parameters
    ----------
    label
        One label for each transition since the rollout began, 0 or more.
    transition
        From `slot_transitions`, or a compressed context's own.
    """
    env = np.arange(label.shape[1])[None, :, None]
    return np.where(transition >= 0, np.asarray(label, np.int64)[np.maximum(transition, 0), env], ABSENT)


def mass_on(
    rows: Float[np.ndarray, "*row layer head slot"],
    length: Int[np.ndarray, "*row"],
    mark: Bool[np.ndarray, "*row slot"],
) -> Float64[np.ndarray, "*row layer head"]:
    """Return the mass on the marked slots; uniform attention has marked ÷ length (give it `uniform_rows`).

    Parameters
    ----------
    rows
        Attention of each query over the slots of its context, float [*row, layer, head, slot]; NaN past the
        context.
    length
        Tokens of the context, the query among them, int [*row].
    mark
        Slots that count, bool [*row, slot].
    """
    share = weights(rows, length)
    mass: Float64[np.ndarray, "*row layer head"] = (share * mark[..., None, None, :]).sum(axis=-1)
    return mass


def is_episode_start(episode: Int[np.ndarray, "transition env"]) -> Bool[np.ndarray, "transition env"]:
    """Return which transitions begin an episode; the first of the rollout does.

    Parameters
    ----------
    episode
        Episode of each transition, from 0, int [transition, env].
    """
    first = np.ones_like(episode[:1], dtype=bool)
    return np.concatenate([first, np.diff(episode, axis=0) != 0])


def reward_sign(reward: Float[np.ndarray, "transition env"]) -> Int64[np.ndarray, "transition env"]:
    """Return 0 for no reward, 1 for a positive one, 2 for a negative one: labels for `marks_of`.

    Parameters
    ----------
    reward
        Reward of each transition, float [transition, env].
    """
    return np.where(reward > 0, 1, np.where(reward < 0, 2, 0)).astype(np.int64)


def state_ids(observation: Shaped[np.ndarray, "transition env *feature"]) -> Int64[np.ndarray, "transition env"]:
    """Return a number for every different observation, 0 or more and the same in every environment.

    Parameters
    ----------
    observation
        Observations of the rollout, array [transition, env, *feature].
    """
    flat = np.asarray(observation).reshape(observation.shape[0] * observation.shape[1], -1)
    _, place = np.unique(flat, axis=0, return_inverse=True)
    return place.reshape(observation.shape[:2]).astype(np.int64)


def same_state(
    state: Int[np.ndarray, "transition env"],
    transition: Int[np.ndarray, "step env slot"],
    step: Int[np.ndarray, " step"],
) -> Bool[np.ndarray, "step env slot"]:
    """Return which slots hold a transition that began in the state that the query is in.

    The chance level is high in small worlds (it is the share of such slots), so only the lift says anything.

    Parameters
    ----------
    state
        Number of each state, as `state_ids` returns it, int [transition, env].
    transition
        Transition in each slot, as `slot_transitions` returns it, int [step, env, slot].
    step
        Environment step of each decision, int [step].
    """
    now = np.asarray(state, np.int64)[np.asarray(step)]
    return np.asarray(marks_of(state, transition) == now[..., None])


def token_kinds(
    kind: Int[np.ndarray, " slot"], length: Int[np.ndarray, "*row"], layout: ContextLayout = QUERY_LAST, query: int = 4
) -> Int64[np.ndarray, "*row slot"]:
    """Return the kind of the token in each slot of a context of any length; `ABSENT` past it.

    ``context/token_kind`` is that of a full context. In a shorter one the query lies elsewhere.

    Parameters
    ----------
    kind
        Kind of the token in each slot of a full context, int [slot].
    length
        Tokens of the context, the query among them, int [*row].
    layout
        Where the query stands, and tokens a transition; both are attributes of a capture.
    query
        The kind that the query's own token has (`TOKEN_KINDS`).
    """
    age = ages(length, len(kind), layout)
    inside = np.arange(len(kind)) < checked_length(length, len(kind))[..., None]
    return np.where(age == 0, query, np.where(inside, np.asarray(kind, np.int64), ABSENT))
