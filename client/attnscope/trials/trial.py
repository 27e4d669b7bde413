"""A trial as it is stored, remote or downloaded, finished or running: arrays that fetch only what is indexed."""

from __future__ import annotations

from attnscope.fetching.stored import ReadOnce, Stored
from attnscope.notebook import picture_of, table
from attnscope.provenance import state_words
from attnscope.trials.results import TrialResults
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.wire import Condition, PolicyDescription, ResolvedTrial, TrialSpec


class Trial(Stored):
    """The stored result of a trial. Use `JobHandle.trial` or `attnscope.open_trial`.

    Raises
    ------
    StoreKindError
        What is stored there is a capture.
    """

    kind = "trial"

    def __repr__(self) -> str:
        state = "complete" if self.complete else "incomplete"
        committed, total = self.conditions_committed, len(self.resolved.conditions)
        return f"<trial {self.job[:8]} of {self.resolved.checkpoint_name}: {committed} of {total} conditions, {state}>"

    def _repr_html_(self) -> str:
        done, all_of_them = self.conditions_committed, self.conditions
        rows: dict[str, object] = {
            "checkpoint": self.resolved.checkpoint_name,
            "environment": self.resolved.environment_id,
            "state": state_words(self.state, done, "condition"),
        }
        for one in all_of_them[1:]:
            there = "committed" if one.index < done else "to come"
            rows[f"{one.index}. {one.text}"] = f"budget {one.budget}, positions {one.positions}, {there}"
        return table(f"trial {self.job[:8]}", rows, done / max(1, len(all_of_them)))

    def _repr_png_(self) -> bytes | None:
        several = self.conditions_committed > 1
        return picture_of("attnscope.figures.trials.table:trial_picture", self.results()) if several else None

    @property
    def policy(self) -> PolicyDescription:
        """The policy's shape; a service that ran it knows all of it."""
        return self._attribute("policy", PolicyDescription)

    @property
    def spec(self) -> TrialSpec:
        """The specification of the trial."""
        return self._attribute("spec", TrialSpec)

    @property
    def resolved(self) -> ResolvedTrial:
        """The resolved job on the service: tasks, steps, and every condition."""
        return self._attribute("resolved", ResolvedTrial)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The condition axis, in full; the uncompressed rollout is entry 0."""
        return self.resolved.conditions

    @property
    def conditions_committed(self) -> int:
        """Conditions that can be read."""
        return self._reader.steps_committed

    def results(self) -> TrialResults:
        """Return what is committed by now, with what it means; each array is read when it is first asked for.

        Raises
        ------
        NotCommittedError
            Not even the uncompressed condition is there yet.

        Examples
        --------
        >>> results = trial.results()
        >>> results.returns.shape  # conditions, seeds, tasks, episodes
        (4, 1, 2, 2)
        """
        if not self.conditions_committed:
            raise NotCommittedError(f"trial {self.job[:8]}: {self.none_of('condition')}")
        return TrialResults(
            job=self.job,
            spec=self.spec,
            resolved=self.resolved,
            policy=self.policy,
            provenance=self.provenance,
            arrays=ReadOnce({name: self[name] for name in self.names()}),
            complete=self.complete,
            state=self.state,
        )
