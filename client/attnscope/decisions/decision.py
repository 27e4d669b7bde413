"""A decision as it is stored, remote or downloaded, finished or running: its answer, its looks, its arms."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from attnscope.connecting.plain import plain_values
from attnscope.fetching.stored import Stored
from attnscope.notebook import picture_of, table
from attnscope_storage.errors import ChunkDamagedError, NotCommittedError
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.wire.parts import LISTED
from attnscope_storage.wire.specifications.decisions import (
    CardArm,
    CardRung,
    DecisionCard,
    DecisionDocument,
    DecisionSpec,
    LoopSample,
    ResolvedDecision,
)

PARTS: Final = TypeAdapter(dict[str, UUID])
"""Reader of the ids of stores by name."""


class Decision(Stored):
    """The outcome of one decision. Use `JobHandle.decision` or `attnscope.open_decision`.

    Raises
    ------
    StoreKindError
        What is stored there is no decision.
    """

    kind = "decision"

    def __repr__(self) -> str:
        state = "complete" if self.complete else "incomplete"
        return (
            f"<decision {self.job[:8]} on {self.resolved.checkpoint_name}: {self.answer or 'no answer yet'} ({state})>"
        )

    def _repr_html_(self) -> str:
        rows: dict[str, object] = {"answer": self.answer or "none yet"}
        if self.requests_committed:
            card = self.card
            rows |= {"policy": card.checkpoint_name, "scope": card.scope}
            rows |= {f"{place}. {one.arm}": f"{one.verdict}, {one.words}" for place, one in enumerate(card.rungs, 1)}
            rows |= {"progress": card.lines[-1]} if card.answer is None and card.lines else {}
        return table(f"decision {self.job[:8]}", rows)

    def _repr_png_(self) -> bytes | None:
        return (
            picture_of("attnscope.figures.decisions.card:decision_card", self.card) if self.requests_committed else None
        )

    @property
    def spec(self) -> DecisionSpec:
        """The specification of the decision."""
        return self._attribute("spec", DecisionSpec)

    @property
    def resolved(self) -> ResolvedDecision:
        """The resolved job on the service: judging and screening tasks, budgets, positions."""
        return self._attribute("resolved", ResolvedDecision)

    @property
    def card(self) -> DecisionCard:
        """The card by now, with all that can be cited.

        Raises
        ------
        NotCommittedError
            Nothing is committed yet.
        """
        done = self._reader.steps_committed
        if not done:
            raise NotCommittedError(f"decision {self.job[:8]}: {self.none_of('request')}")
        card = self._document().card
        return DecisionCard.model_validate(plain_values(card.model_dump(mode="json")))

    @property
    def requests_committed(self) -> int:
        """Requests of the procedure that can be read: each is a gate, a capture, a screen, a race's round or a look."""
        return self._reader.steps_committed

    @property
    def parts(self) -> dict[str, UUID]:
        """Ids of all stores that the decision may come to own, by name; empty for one of an earlier version."""
        listed = self._reader.attributes.get(LISTED, {})
        try:
            return PARTS.validate_python(plain_values(listed))
        except ValidationError as error:
            raise ChunkDamagedError("the decision's root document does not name its stores by their ids") from error

    @property
    def loop(self) -> LoopSample | None:
        """Decisions of the answered arm, which a loop of one's own is compared with; None where no arm is chosen."""
        return self._document().loop if self._reader.steps_committed else None

    def _document(self) -> DecisionDocument:
        """Return what the last committed request left behind."""
        return decoded(self[DOCUMENT][self._reader.steps_committed - 1])

    @property
    def answer(self) -> str | None:
        """The answer in one sentence; None while there is none."""
        return self.card.sentence if self._reader.steps_committed else None

    @property
    def lines(self) -> tuple[str, ...]:
        """Progress in plain words, oldest first."""
        return self.card.lines if self._reader.steps_committed else ()

    @property
    def looks(self) -> tuple[CardRung, ...]:
        """The judged rungs, each at its last look."""
        return self.card.rungs

    @property
    def arms(self) -> tuple[CardArm, ...]:
        """The arms that raced, with the screen's numbers and their raced return."""
        return self.card.arms
