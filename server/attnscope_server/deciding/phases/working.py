"""The work between two states of the driver: the stores of a request, and what the driver hears of them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int

from attnscope_model.acting.outputs import output_of
from attnscope_model.forward.policy import Policy
from attnscope_model.forward.stack import StackedPolicy
from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.deciding.climbing import after_look
from attnscope_server.deciding.driver import after_capture, after_race, after_screen, request, start
from attnscope_server.deciding.phases.captured import CapturedRollouts, by_task, nested
from attnscope_server.deciding.phases.children import Children, condition_of
from attnscope_server.deciding.phases.looping import loop_sample
from attnscope_server.deciding.phases.naming import budget_text
from attnscope_server.deciding.phases.parts import Part
from attnscope_server.deciding.phases.proposing import (
    ballots_of,
    doubted,
    proposed,
    screened_arms,
    unraced_packing,
)
from attnscope_server.deciding.phases.randomly import RandomReturns
from attnscope_server.deciding.phases.record import Record
from attnscope_server.deciding.phases.resolving import plan_of
from attnscope_server.deciding.phases.rollouts import Stage
from attnscope_server.deciding.phases.sizing import late_count_notes
from attnscope_server.deciding.phases.specifying import whole_rows
from attnscope_server.deciding.phases.timing import Timer
from attnscope_server.deciding.phases.trying import arm_named, number_of, rung_number, trying
from attnscope_server.deciding.state import UNCOMPRESSED, Arm, Captured, Phase, Request, Rolled
from attnscope_server.deciding.statistics.episodes import mean_return
from attnscope_server.trials.results import ConditionResult
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.parts import look_name
from attnscope_storage.wire.specifications.decisions import DecisionSpec, ResolvedDecision


class Worker:
    """A decision at work.

    Parameters
    ----------
    spec, resolved
        What was asked for, and what it means here.
    policy
        The policy that is decided on.
    stage
        Where uniform actions are rolled out.
    children
        The stores that the decision owns.
    """

    def __init__(
        self, spec: DecisionSpec, resolved: ResolvedDecision, policy: Policy, stage: Stage, children: Children
    ) -> None:
        self._spec, self._resolved, self._policy, self._stage = spec, resolved, policy, stage
        self._children, self._random = children, RandomReturns(resolved, stage)
        self.record = Record(driver=start(plan_of(spec, resolved)), quick=spec.quick)
        """The results so far."""

    def answer(self) -> Part:
        """Do the next request's work and let the driver hear of it.

        Raises
        ------
        ValueError
            Nothing is left to do.
        """
        asked = request(self.record.driver)
        if asked is None:
            raise ValueError("the decision has its answer")
        works = {
            Phase.CAPTURE: self._capture,
            Phase.SCREEN: self._screen,
            Phase.RACE: self._race,
            Phase.LADDER: self._look,
        }
        return works[asked.phase](asked)

    def try_out(self, device: torch.device) -> None:
        """Time the chosen arm once there is one, and keep some of its decisions, on the captured histories."""
        answer = self.record.driver.answer
        if answer is None or answer.chosen is None or self.record.speed is not None:
            return
        arm = arm_named(self.record, answer.rungs[answer.chosen].arm)
        timer = Timer(self._policy, device, self._children.capture(), self._resolved.steps, self._refuse_stopped)
        stage = self._stage
        sample = loop_sample(self._policy, device, arm, self._children.capture(), stage.steps, stage.temperature)
        self._found(speed=timer.speed(arm), loop=sample)

    def _refuse_stopped(self) -> None:
        if self._stage.stopped():
            raise RolloutStoppedError("stopped while decisions were timed")

    @cached_property
    def _rollouts(self) -> CapturedRollouts:
        return CapturedRollouts.of(self._children.capture(), self._resolved.steps)

    def _capture(self, asked: Request) -> Part:
        """Capture the uncompressed policy on the screening tasks, and read the gate."""
        [piece], part, episodes = asked.pieces, Part(), self._resolved.episodes
        rolled, tasks = self._rollouts, self._resolved.screening_tasks
        places = rolled.places(piece.tasks, range(piece.first, piece.last))
        if places is None:
            raise RuntimeError("the capture lacks rollouts that the decision is planned with")
        returns = rolled.returns(episodes)
        part.add(0, piece, returns[places.T.ravel()], self._numbered(rolled.action[places.T.ravel()]))
        self._found(**self._first_episode())
        random, self.record = self._random.on_screening(piece.tasks, self.record)
        shape = places.T.shape
        late = mean_return(returns, episodes - max(1, episodes // 3))[places.T]
        error = tuple(random[task][1] for task in piece.tasks)
        best = tuple(cell.optimal_return for cell in tasks)
        captured = Captured(
            late=nested(late),
            random=tuple(random[task][0] for task in piece.tasks),
            random_error=error if any(error) else None,
            earned=tuple(tuple(bool(one) for one in row) for row in rolled.earned[places.T].reshape(shape)),
            optimal=None if any(one is None for one in best) else tuple(float(one) for one in best if one is not None),
            judged=nested(mean_return(returns, self.record.first_episode)[places.T]),
        )
        self._found(driver=after_capture(self.record.driver, captured))
        return part

    def _first_episode(self) -> dict[str, object]:
        """Return the first episode from whose first decision on the largest budget binds in every rollout."""
        description, episodes = self._policy.description, self._resolved.episodes
        begins = self._rollouts.begins(episodes)
        first = self._rollouts.binds_from(begins, description, self._resolved.most_tokens)
        budgets, steps = self._resolved.budgets, self._resolved.steps
        notes = (*self.record.notes, *late_count_notes(budgets, description, steps))
        if first is None:
            first = episodes - max(1, episodes // 3)
            notes = (
                *notes,
                f"no episode begins with a full budget in every rollout: judged from episode {first + 1} on",
            )
        return {"first_episode": first, "first_step": int(begins[:, first].min()), "notes": notes}

    def _screen(self, asked: Request) -> Part:
        """Screen the captured histories, and send arms into the race."""
        del asked
        description, resolved = self._policy.description, self._resolved
        stacked, rows = isinstance(self._policy, StackedPolicy), whole_rows(self._children.capture())
        arms = screened_arms(description, self._spec, resolved, stacked=stacked, attention=rows)
        reader = self._children.screen(arms, self._stage.most_rewards)
        ballots = ballots_of(reader, resolved, description)
        groups = [budget_text(one) for one in resolved.budgets]
        found = proposed(ballots, groups, ranks=self.record.driver.screen_ranks is not False)
        driver = self.record.driver
        if not self.record.quick:
            driver = after_screen(driver, [Arm(name=arm.name, tokens=arm.tokens, budget=arm.group) for arm in found])
        notes = (*self.record.notes, *doubted(reader), *unraced_packing(reader, resolved, description))
        self._found(driver=driver, arms=tuple(found), notes=notes)
        return Part()

    def _race(self, asked: Request) -> Part:
        """Try the racing arms, all on the same tasks and seeds, beside the captured rollouts."""
        part, driver = Part(), self.record.driver
        tried = trying(self.record, asked, self._resolved)
        episodes, policy = self._resolved.episodes, self._policy.description
        twin = self._rollouts.twin(asked.pieces[0].tasks, tried.seeds, episodes, policy)
        reader = self._children.trial(tried, twin)
        outcomes = []
        for piece in asked.pieces:
            one = condition_of(reader, 1 + [arm.name for arm in tried.arms].index(piece.arm))
            part.add(self._number(piece.arm), piece, by_task(one.returns), self._numbered(by_task(one.action)))
            outcomes.append(Rolled(returns=self._means(one)))
        self._found(driver=after_race(driver, outcomes))
        return part

    def _look(self, asked: Request) -> Part:
        """Try all that a look lacks, the uncompressed policy among it where no other rung did, and let it be judged."""
        part, driver = Part(), self.record.driver
        twin = None if len(asked.pieces) > 1 else self._shared(driver.look)
        reader = self._children.trial(trying(self.record, asked, self._resolved), twin)
        plain, compressed = (condition_of(reader, index) for index in (0, 1))
        acted = [self._numbered(one.action) for one in (plain, compressed)]
        different = (acted[0] != acted[1])[..., self.record.first_step :].sum(axis=-1)
        outcomes = []
        for one in asked.pieces:
            mine = plain if one.arm == UNCOMPRESSED else compressed
            counts = None if one.arm == UNCOMPRESSED else different.T
            number = 0 if one.arm == UNCOMPRESSED else self._number(one.arm)
            part.add(number, one, by_task(mine.returns), self._numbered(by_task(mine.action)), counts)
            rows = None if counts is None else tuple(tuple(int(n) for n in row) for row in counts)
            outcomes.append(Rolled(returns=self._means(mine), differing=rows))
        tasks = driver.plan.scope.tasks
        uniform, self.record = self._random.on_judging(tasks, self.record)
        self._found(driver=after_look(driver, outcomes, self._random.known(tasks), uniform))
        return part

    def _numbered(self, action: Int[np.ndarray, ...]) -> Int[np.ndarray, ...]:
        """Return the number of every action: of several choices that of their combination."""
        policy = self._policy.description
        axes = action.shape[:-1] if policy.output.branches else action.shape
        each = torch.from_numpy(np.ascontiguousarray(action.reshape(-1, *action.shape[len(axes) :])))
        return np.asarray(output_of(policy).number(each)).reshape(axes)

    def _shared(self, look: int) -> ConditionResult:
        """Return the uncompressed rollouts of a look, which an earlier rung ran."""
        for rung in range(1, rung_number(self.record)):
            path = self._children.path(look_name(rung, look))
            if path.exists():
                return condition_of(CaptureReader.open(path), 0)
        raise RuntimeError(f"no rung ran the uncompressed rollouts of look {look}")

    def _means(self, found: ConditionResult) -> tuple[tuple[float, ...], ...]:
        """Return the mean return of a judged episode, [task, seed]."""
        return nested(mean_return(found.returns, self.record.first_episode).T)

    def _found(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)

    def _number(self, name: str) -> int:
        return number_of(self.record, name)
