"""A decision as it is stored, remote or downloaded, finished or running: its answer, its looks, its arms."""

from __future__ import annotations

from attnscope.connecting.plain import plain_values
from attnscope.fetching.stored import Stored
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.kinds.decision.schema import DOCUMENT, decoded
from attnscope_storage.wire.specifications.decisions import (
    CardArm,
    CardRung,
    DecisionCard,
    DecisionDocument,
    DecisionSpec,
    LoopSample,
    ResolvedDecision,
)


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
