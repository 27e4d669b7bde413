"""Earlier decisions on the same checkpoint and environment, read from their stores."""

from __future__ import annotations

from collections.abc import Iterable

from attnscope_server.attempts.order import Order
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.kinds.decision.schema import DOCUMENT, DecisionSchema, decoded
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.places import committed_at, stores_in
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.specifications.cards import CardEarlier
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision


def earlier_decisions(order: Order[DecisionSpec, ResolvedDecision]) -> tuple[CardEarlier, ...]:
    """Return the owner's stored decisions on the same checkpoint and environment, by the time of their last commit."""
    if order.earlier is not None:
        return order.earlier
    beside = (path for path in stores_in(order.path.parent) if path != order.path)
    return earlier_among(beside, order.owner, order.resolved)


def earlier_among(paths: Iterable[StorePath], owner: str, mine: ResolvedDecision) -> tuple[CardEarlier, ...]:
    """Return those of some stores that are the owner's decisions on the same subject, by time of their last commit.

    Parameters
    ----------
    mine
        The decision that comes after them.
    """
    found = []
    for path in paths:
        if path.is_symlink():
            continue
        try:
            one = _earlier(CaptureReader.open(path), owner, mine)
            at = committed_at(path)
        except (AttnscopeError, ValueError, LookupError, TypeError):  # damaged: the doctor reports it
            continue
        except FileNotFoundError:  # deleted meanwhile
            continue
        if one is not None:
            found.append((at, one))
    return tuple(one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].job)))


def _earlier(reader: CaptureReader, owner: str, mine: ResolvedDecision) -> CardEarlier | None:
    """Return a stored decision in short; None where its owner or subject is another, or it is quick or empty."""
    if reader.kind != DecisionSchema.kind or reader.attributes["owner"] != owner or not reader.steps_committed:
        return None
    spec = DecisionSpec.model_validate(reader.attributes["spec"])
    resolved = ResolvedDecision.model_validate(reader.attributes["resolved"])

    def place(one: ResolvedDecision) -> tuple[object, ...]:
        return one.checkpoint_id, one.environment_id, dict(one.environment_kwargs)

    if place(resolved) != place(mine) or spec.quick:
        return None
    tasks = [{cell.index for cell in one.tasks} for one in (resolved, mine)]
    card = decoded(reader.array(DOCUMENT)[reader.steps_committed - 1]).card
    return CardEarlier(
        job=str(reader.attributes["job"]),
        sentence=card.sentence,
        margin=spec.margin,
        first_seed=spec.seeds[0],
        same_tasks=tasks[0] == tasks[1],
    )
