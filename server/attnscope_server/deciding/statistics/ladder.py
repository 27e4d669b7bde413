"""The ladder: rungs judged one after the other at full level, in an order that is fixed before the first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from attnscope_server.deciding.statistics.looks import Verdict


@dataclass(frozen=True)
class Rung:
    """One arm of a ladder."""

    arm: str
    tokens: int
    """Tokens that the arm keeps."""


@dataclass(frozen=True)
class Ladder:
    """All that is fixed before the first rung is judged."""

    rungs: tuple[Rung, ...]
    """From the smallest saving worth having to the largest."""

    margin: float
    reach: str
    tasks: tuple[int, ...]
    seed_base: int
    bounds: tuple[tuple[int, int, float, float], ...]
    """Tasks, seeds, safe bound and harm bound of every look."""

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of this ladder, stored before rung 1 and compared ever after."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class End(Enum):
    """The end of a ladder."""

    HOLDS = "holds"
    """At least the first rung is non-inferior."""

    NONE_HOLDS = "none holds"
    """The first rung is inferior."""

    DO_NOT_COMPRESS = "do not compress"
    """The first rung, and the best arm at a second budget, are both inferior."""

    UNDECIDED = "undecided"
    """The first rung is undecided."""


@dataclass(frozen=True)
class Climb:
    """State of a ladder between rungs."""

    verdicts: tuple[Verdict, ...] = ()
    """Final verdicts of the rungs judged so far, in order."""

    def next_rung(self, rungs: Sequence[Rung]) -> int | None:
        """Index of the rung to judge next; None at the end.

        The climb stops at the first rung that is not non-inferior. One exception gives no "safe": where the first rung
        is inferior, the second is judged too, as "do not compress" needs two budgets.
        """
        at = len(self.verdicts)
        if at >= len(rungs):
            return None
        if all(v is Verdict.SAFE for v in self.verdicts) or self.verdicts == (Verdict.HARM,):
            return at
        return None

    @property
    def is_contrast(self) -> bool:
        """True where the rung that comes next can only confirm harm."""
        return self.verdicts == (Verdict.HARM,)

    @property
    def last_safe(self) -> int | None:
        """Index of the last rung that holds; None where the first does not."""
        if not self.verdicts or self.verdicts[0] is not Verdict.SAFE:
            return None
        return next((i for i, v in enumerate(self.verdicts) if v is not Verdict.SAFE), len(self.verdicts)) - 1

    @property
    def end(self) -> End:
        """Outcome of a ladder that has ended."""
        if self.last_safe is not None:
            return End.HOLDS
        if self.verdicts[:2] == (Verdict.HARM, Verdict.HARM):
            return End.DO_NOT_COMPRESS
        return End.NONE_HOLDS if self.verdicts[:1] == (Verdict.HARM,) else End.UNDECIDED
