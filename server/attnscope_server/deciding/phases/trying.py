"""The trial of the next request: its name, its arms, and the tasks and seeds that they share. Runs nothing.

A worker makes this trial, and a service that receives its chunks makes its documents, from the same record.
"""

from __future__ import annotations

from dataclasses import dataclass

from attnscope_server.deciding.driver import race_round
from attnscope_server.deciding.phases.proposing import in_waves
from attnscope_server.deciding.phases.record import Record
from attnscope_server.deciding.state import UNCOMPRESSED, Phase, Piece, Request
from attnscope_storage.wire import TaskCell
from attnscope_storage.wire.parts import look_name, race_name
from attnscope_storage.wire.specifications.cards import CardArm
from attnscope_storage.wire.specifications.decisions import ResolvedDecision


@dataclass(frozen=True)
class Trying:
    """The trial of one request."""

    name: str
    """Name of its store within the decision."""
    arms: tuple[CardArm, ...]
    """In the order of its conditions, which begin with the uncompressed policy."""
    cells: tuple[TaskCell, ...]
    seeds: range


def trying(record: Record, asked: Request, resolved: ResolvedDecision) -> Trying:
    """Return the trial of a request of the race or of the ladder."""
    if asked.phase is Phase.RACE:
        arms = in_waves([arm_named(record, piece.arm) for piece in asked.pieces])
        name = race_name(arms[0].group, race_round(record.driver))
        return Trying(name, tuple(arms), resolved.screening_tasks, _seeds(asked.pieces[0]))
    [piece] = [one for one in asked.pieces if one.arm != UNCOMPRESSED]
    cells = {cell.index: cell for cell in resolved.tasks}
    name = look_name(rung_number(record), record.driver.look)
    return Trying(name, (arm_named(record, piece.arm),), tuple(cells[task] for task in piece.tasks), _seeds(piece))


def rung_number(record: Record) -> int:
    """Return the number of the rung that is judged now, counted from 1."""
    return 1 + len(record.driver.summaries)


def arm_named(record: Record, name: str) -> CardArm:
    """Return an arm of the race.

    Raises
    ------
    LookupError
        None has the name.
    """
    return record.arms[number_of(record, name) - 1]


def number_of(record: Record, name: str) -> int:
    """Return the number by which stored rollouts name an arm, counted from 1.

    Raises
    ------
    LookupError
        None has the name.
    """
    for number, arm in enumerate(record.arms, start=1):
        if arm.name == name:
            return number
    raise LookupError(f"no arm is called {name[:200]!r}")


def _seeds(piece: Piece) -> range:
    return range(piece.first, piece.last)
