"""A screen as it is stored, remote or downloaded, finished or running."""

from __future__ import annotations

from attnscope.fetching.stored import ReadOnce, Stored
from attnscope.notebook import picture_of, table
from attnscope.provenance import state_words
from attnscope.screens.results import ScreenResults
from attnscope_storage.errors import NotCommittedError
from attnscope_storage.wire import Condition, PolicyDescription
from attnscope_storage.wire.specifications.screens import ResolvedScreen, ScreenSpec


class Screen(Stored):
    """The results of one screen. Use `JobHandle.screen` or `attnscope.open_screen`.

    Raises
    ------
    StoreKindError
        The store is of another kind.
    """

    kind = "screen"

    def __repr__(self) -> str:
        state = "complete" if self.complete else "incomplete"
        committed, total = self.rollouts_committed, len(self.resolved.envs)
        return f"<screen {self.job[:8]} of {self.resolved.checkpoint_name}: {committed} of {total} rollouts, {state}>"

    def _repr_html_(self) -> str:
        done = self.rollouts_committed
        rows = {
            "checkpoint": self.resolved.checkpoint_name,
            "arms": len(self.arms),
            "state": state_words(self.state, done, "rollout"),
        }
        return table(f"screen {self.job[:8]}", rows, done / max(1, len(self.resolved.envs)))

    def _repr_png_(self) -> bytes | None:
        return (
            picture_of("attnscope.figures.screens.map:screen_map", self.results()) if self.rollouts_committed else None
        )

    @property
    def policy(self) -> PolicyDescription:
        """The policy's shape; a service that ran it knows all of it."""
        return self._attribute("policy", PolicyDescription)

    @property
    def spec(self) -> ScreenSpec:
        """The specification as it was submitted."""
        return self._attribute("spec", ScreenSpec)

    @property
    def resolved(self) -> ResolvedScreen:
        """The specification as the service resolved it: rollouts, decisions, and every arm."""
        return self._attribute("resolved", ResolvedScreen)

    @property
    def arms(self) -> tuple[Condition, ...]:
        """The arm axis, deployable arms first."""
        return self.resolved.arms

    @property
    def rollouts_committed(self) -> int:
        """Rollouts that can be read."""
        return self._reader.steps_committed

    def results(self) -> ScreenResults:
        """Return the committed results and their meaning; each array is read when it is first used.

        Raises
        ------
        NotCommittedError
            No rollout is there yet.
        """
        if not self.rollouts_committed:
            raise NotCommittedError(f"screen {self.job[:8]}: {self.none_of('rollout')}")
        resolved, read = self.resolved, ReadOnce({name: self[name] for name in self.names()})
        task = read["rollout/task"][: self.rollouts_committed]
        reach = {
            cell.index: (cell.random_return, cell.optimal_return)
            for cell in resolved.tasks
            if cell.random_return is not None and cell.optimal_return is not None
        }
        name, notes = resolved.checkpoint_name, resolved.notes
        return ScreenResults(resolved.arms, self.policy, task, read, notes, name, resolved.bands, reach)
