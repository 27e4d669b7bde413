"""The fixed list of questions that the page may ask, about captures that were opened; none names an address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from attnscope.errors import OutsideError, RequestRefusedError
from attnscope.measures.ranks import spearman
from attnscope.page import views
from attnscope.page.frames import Frame, numbers
from attnscope.page.latents import latents as latents_at
from attnscope.page.metrics import metrics as metrics_of
from attnscope.page.rollouts import transitions
from attnscope.page.rooms import room as room_of
from attnscope.page.subjects import Subject
from attnscope.reading.influence import influence as influence_of

Asked = Mapping[str, str]
"""Parameters of a question."""

Answer = dict[str, Any] | Frame

WAIT_SECONDS: Final = 8.0
"""Seconds that an answer about news is held."""

LARGEST: Final = 2**31
"""Numbers in a question, at most."""


def number(asked: Asked, name: str) -> int:
    """Return a number of a question.

    Raises
    ------
    RequestRefusedError
        It is missing, or no whole number from 0 on.
    """
    text = asked.get(name, "")
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > LARGEST:  # noqa: PLR2004 - digits
        raise RequestRefusedError(f"{name}: expected a whole number from 0 on, got {text[:40]!r}")
    return int(text)


def _place(subject: Subject, asked: Asked) -> int:
    """Return the place of an environment among the stored ones."""
    env, known = number(asked, "env"), len(subject.environments())
    if env >= known:
        raise OutsideError(f"env {env} is not stored; {known} environments are, counted from 0")
    return env


def _head(subject: Subject, asked: Asked) -> views.Head:
    """Return the places of layer and head among the stored ones."""
    layer, head = number(asked, "layer"), number(asked, "head")
    with subject.reading() as capture:
        layers, of_layer = (len(views.stored(capture, axis)) for axis in ("layer", "head"))
    if layer >= layers or head >= of_layer:
        raise OutsideError(f"layer {layer}, head {head} is not stored")
    return layer, head


def about(subject: Subject, _asked: Asked) -> Answer:
    """Answer with what does not change: names, sizes, environments."""
    return subject.about()


def news(subject: Subject, asked: Asked) -> Answer:
    """Answer once something is other than what was seen."""
    return subject.wait(asked.get("seen", ""), WAIT_SECONDS if asked.get("seen") else 0.0)


def band(subject: Subject, asked: Asked) -> Answer:
    """Answer with decision rows over steps."""
    with subject.reading() as capture:
        rollout = subject.rollout(_place(subject, asked))
        head = _head(subject, asked) if "head" in asked else None
        return views.band(capture, rollout, number(asked, "first"), number(asked, "last"), head, fine="fine" in asked)


def heads(subject: Subject, asked: Asked) -> Answer:
    """Answer with every head at one step."""
    kind: views.Kind = "maps" if asked.get("kind") == "maps" else "rows"
    with subject.reading() as capture:
        return views.heads(capture, subject.rollout(_place(subject, asked)), number(asked, "step"), kind)


def one_map(subject: Subject, asked: Asked) -> Answer:
    """Answer with the map of one head at one step."""
    with subject.reading() as capture:
        rollout = subject.rollout(_place(subject, asked))
        return views.one_map(capture, rollout, number(asked, "step"), _head(subject, asked))


def rollout(subject: Subject, asked: Asked) -> Answer:
    """Answer with the transitions of some steps."""
    with subject.reading() as capture:
        env = subject.rollout(_place(subject, asked))
        return transitions(capture, env, number(asked, "first"), number(asked, "last"))


def room(subject: Subject, asked: Asked) -> Answer:
    """Answer with the environment's grid."""
    with subject.reading() as capture:
        return room_of(capture, subject.rollout(_place(subject, asked)))


def metrics(subject: Subject, asked: Asked) -> Answer:
    """Answer with the metrics of every head, at one step or over the run."""
    with subject.reading() as capture:
        env = subject.rollout(_place(subject, asked))
        return metrics_of(capture, env, number(asked, "step"), subject.read() if asked.get("over") == "run" else None)


def influence(subject: Subject, asked: Asked) -> Answer:
    """Answer with attention and influence of each transition at one step, once the service has computed it."""
    head = _head(subject, asked) if "head" in asked else None
    return influence_at(subject, _place(subject, asked), number(asked, "step"), head)


def influence_at(subject: Subject, place: int, step: int, head: views.Head | None = None) -> dict[str, Any]:
    """Return attention and influence of each transition at one step, of a head or of the mean over all."""
    every = slice(None)
    chosen: tuple[int | slice, int | slice] = (every, every) if head is None else head
    with subject.reading() as capture:
        if step >= capture.steps_committed:
            raise OutsideError(f"step {step} is not committed; {capture.steps_committed} steps are")
    found = influence_of(capture, step, place)  # takes seconds: other questions are answered meanwhile
    attention = np.atleast_2d(found.attention[chosen]).reshape(-1, len(found.influence)).mean(axis=0)
    return {
        "start": found.first,
        "lost": numbers(found.influence),
        "unit": found.unit,
        "attention": numbers(attention),
        "agreement": numbers(np.asarray(spearman(attention, found.influence))),
    }


def latents(subject: Subject, asked: Asked) -> Answer:
    """Answer with what the latents before a decision hold."""
    with subject.reading():
        place, step = _place(subject, asked), number(asked, "step")
        return latents_at(subject.latents(place), step, "looked" if asked.get("shows") == "looked" else "traced")


def answer(subject: Subject, _asked: Asked) -> Answer:
    """Answer with the decision and the screen beside the capture."""
    return subject.answers.document()


QUESTIONS: Final[Mapping[str, Callable[[Subject, Asked], Answer]]] = MappingProxyType(
    {
        "about": about,
        "news": news,
        "band": band,
        "heads": heads,
        "map": one_map,
        "rollout": rollout,
        "room": room,
        "metrics": metrics,
        "influence": influence,
        "latents": latents,
        "answer": answer,
    }
)
"""Every question about a capture, by name."""
