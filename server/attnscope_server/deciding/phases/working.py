"""The work between two states of the driver: the rollouts of a request, or its screen, and what the driver hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

from attnscope_model.forward.policy import Policy
from attnscope_server.acting.errors import RolloutStoppedError
from attnscope_server.deciding.climbing import after_look
from attnscope_server.deciding.driver import after_capture, after_race, after_screen, request, start
from attnscope_server.deciding.episodes import first_binding_episode, mean_return
from attnscope_server.deciding.phases.proposing import proposed, screened, screened_arms
from attnscope_server.deciding.phases.record import Record, setup_of
from attnscope_server.deciding.phases.resolving import plan_of
from attnscope_server.deciding.phases.rollouts import UNIFORM_SEEDS, Rollouts, Stage, axis_of
from attnscope_server.deciding.state import UNCOMPRESSED, Arm, Captured, Phase, Piece, Request, Rolled
from attnscope_server.screening import Histories
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire.decisions import CardArm, DecisionSpec, ResolvedDecision

UNIFORM_ROLLOUTS = 40
"""Rollouts of uniform actions a task, where its random return is not known."""


@dataclass
class Part:
    """The rollouts of one request, as they are stored."""

    rows: list[dict[str, Shaped[np.ndarray, "rollout ..."]]] = field(default_factory=list)

    def add(self, number: int, piece: Piece, rolled: Rollouts, differing: Sequence[int] | None = None) -> None:
        """Add the rollouts of a piece; `number` is that of its arm."""
        axis = axis_of(piece.tasks, piece.first, piece.last)
        count = len(axis.task)
        self.rows.append(
            {
                "decision/arm": np.full(count, number, np.int32),
                "decision/task": axis.task,
                "decision/seed": axis.seed,
                "decision/differing": np.full(count, -1, np.int32)
                if differing is None
                else np.asarray(differing, np.int32),
                "decision/return": rolled.returns,
                "decision/action": rolled.action,
            }
        )

    def arrays(self) -> dict[str, Shaped[np.ndarray, "rollout ..."]]:
        """Return the arrays by name; none where nothing was rolled out."""
        if not self.rows:
            return {}
        return {name: np.concatenate([row[name] for row in self.rows]) for name in self.rows[0]}


class Worker:
    """A decision at work.

    Parameters
    ----------
    spec, resolved
        What was asked for, and what it means here.
    policy
        The policy that is decided on.
    stage
        Where it acts.
    """

    def __init__(self, spec: DecisionSpec, resolved: ResolvedDecision, policy: Policy, stage: Stage) -> None:
        self._spec, self._resolved, self._policy, self._stage = spec, resolved, policy, stage
        self.record = Record(driver=start(plan_of(spec, resolved)), quick=spec.quick)
        """The results so far."""
        self._histories: Histories | None = None
        self._twins: dict[tuple[int, int], Shaped[np.ndarray, " step"]] = {}

    def restore(self, record: Record, reader: CaptureReader) -> None:
        """Go on from a committed record; the actions of uncompressed rollouts are read back."""
        self.record = record
        for place in range(reader.steps_committed):
            arm = reader.array("decision/arm")[place]
            mine = np.flatnonzero(arm == 0)
            task, seed = (reader.array(f"decision/{name}")[place][mine] for name in ("task", "seed"))
            actions = reader.array("decision/action")[place][mine]
            self._twins |= {(int(one), int(other)): row for one, other, row in zip(task, seed, actions, strict=True)}

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

    def _capture(self, asked: Request) -> Part:
        """Roll the uncompressed policy out on the screening tasks, and read the gate."""
        [piece], part = asked.pieces, Part()
        rolled = self._captured(piece)
        part.add(0, piece, rolled)
        random = self._random(piece.tasks)
        late = mean_return(rolled.returns, rolled.returns.shape[1] - max(1, rolled.returns.shape[1] // 3))
        shape = (len(piece.tasks), -1)
        captured = Captured(
            late=_nested(late.reshape(shape)),
            random=tuple(random[task][0] for task in piece.tasks),
            random_error=tuple(random[task][1] for task in piece.tasks)
            if any(random[task][1] for task in piece.tasks)
            else None,
            earned=tuple(tuple(bool(one) for one in row) for row in rolled.earned.reshape(shape)),
        )
        self._found(driver=after_capture(self.record.driver, captured), **self._first_episode(rolled))
        return part

    def _captured(self, piece: Piece) -> Rollouts:
        rolled, self._histories = self._stage.captured(axis_of(piece.tasks, piece.first, piece.last))
        return rolled

    def _first_episode(self, rolled: Rollouts) -> dict[str, object]:
        """Return the first episode from whose first decision on the largest budget binds in every rollout."""
        description, episodes = self._policy.description, self._resolved.episodes
        begins = np.full((len(rolled.episode), episodes), -1, np.int64)
        for number in range(episodes):
            step = (rolled.episode == number).argmax(axis=1)
            there = (rolled.episode == number).any(axis=1)
            begins[there, number] = np.minimum(step[there], description.transitions)
        first = first_binding_episode(begins * description.tokens_per_transition, self._resolved.most_tokens)
        if first is not None:
            return {"first_episode": first}
        late = episodes - max(1, episodes // 3)
        note = f"no episode begins with a full budget in every rollout: judged from episode {late} on"
        return {"first_episode": late, "notes": (*self.record.notes, note)}

    def _screen(self, asked: Request) -> Part:
        """Screen the captured histories; a decision that goes on from here captures the same histories again."""
        del asked
        if self._histories is None:
            self._captured(_capture_piece(self.record))
        if self._histories is None:
            raise RuntimeError("a capture leaves its histories")
        budgets, stage = self._resolved.budgets, self._stage

        def before(share: float) -> None:
            if stage.stopped():
                raise RolloutStoppedError("stopped within a screen")
            stage.advanced(share)

        arms = screened_arms(self._policy, budgets, self._resolved.positions)
        ballots = screened(stage, self._histories, arms, self._spec.screened, before)
        per = self._policy.description.tokens_per_transition
        found = proposed(ballots, budgets, per, ranks=self.record.driver.screen_ranks is not False)
        driver = self.record.driver
        if not self.record.quick:
            driver = after_screen(
                driver, [Arm(name=arm.name, tokens=arm.tokens, budget=str(arm.budget)) for arm in found]
            )
        self._histories = None
        self._found(driver=driver, arms=tuple(found))
        return Part()

    def _race(self, asked: Request) -> Part:
        """Roll the racing arms out, all on the same tasks and seeds."""
        part, pieces = Part(), asked.pieces
        axis = axis_of(pieces[0].tasks, pieces[0].first, pieces[0].last)
        rolled = self._stage.compressed([setup_of(self._arm(piece.arm)) for piece in pieces], axis)
        for piece, one in zip(pieces, rolled, strict=True):
            part.add(self._number(piece.arm), piece, one)
        told = [Rolled(returns=self._means(piece, one)) for piece, one in zip(pieces, rolled, strict=True)]
        self._found(driver=after_race(self.record.driver, told))
        return part

    def _look(self, asked: Request) -> Part:
        """Roll out all that a look lacks, the uncompressed policy first, and let it be judged."""
        part, told = Part(), []
        for piece in asked.pieces:
            axis = axis_of(piece.tasks, piece.first, piece.last)
            if piece.arm == UNCOMPRESSED:
                rolled = self._stage.uncompressed(axis)
                keys = zip(axis.task.tolist(), axis.seed.tolist(), strict=True)
                self._twins |= dict(zip(keys, rolled.action, strict=True))
                part.add(0, piece, rolled)
                told.append(Rolled(returns=self._means(piece, rolled)))
                continue
            [rolled] = self._stage.compressed([setup_of(self._arm(piece.arm))], axis)
            twins = np.stack([self._twins[key] for key in zip(axis.task.tolist(), axis.seed.tolist(), strict=True)])
            judged = rolled.episode >= self.record.first_episode
            differing = ((rolled.action != twins) & judged).sum(axis=1)
            part.add(self._number(piece.arm), piece, rolled, differing)
            counts = differing.reshape(len(piece.tasks), -1)
            rows = tuple(tuple(int(one) for one in row) for row in counts)
            told.append(Rolled(returns=self._means(piece, rolled), differing=rows))
        self._found(driver=after_look(self.record.driver, told, self._random(self.record.driver.plan.scope.tasks)))
        return part

    def _random(self, tasks: Sequence[int]) -> dict[int, tuple[float, float]]:
        """Return the random return of tasks with its standard error; what nobody knows is rolled out once."""
        known = {
            cell.index: (cell.random_return, 0.0)
            for cell in (*self._resolved.tasks, *self._resolved.screening_tasks)
            if cell.random_return is not None
        }
        lacking = [task for task in tasks if task not in known and task not in self.record.random]
        if lacking:
            first = self.record.driver.plan.seed_base + UNIFORM_SEEDS
            rolled = self._stage.uniform(axis_of(lacking, first, first + UNIFORM_ROLLOUTS))
            means = mean_return(rolled.returns).reshape(len(lacking), -1)
            error = means.std(axis=1, ddof=1) / np.sqrt(means.shape[1])
            found = {
                task: (float(mean), float(one)) for task, mean, one in zip(lacking, means.mean(1), error, strict=True)
            }
            self._found(
                random={**self.record.random, **found},
                random_rollouts=self.record.random_rollouts + len(lacking) * UNIFORM_ROLLOUTS,
            )
        return {task: known.get(task) or self.record.random[task] for task in tasks}

    def _means(self, piece: Piece, rolled: Rollouts) -> tuple[tuple[float, ...], ...]:
        """Return the mean return of a judged episode, [task, seed]."""
        means = mean_return(rolled.returns, self.record.first_episode)
        return _nested(means.reshape(len(piece.tasks), -1))

    def _found(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)

    def _arm(self, name: str) -> CardArm:
        return self.record.arms[self._number(name) - 1]

    def _number(self, name: str) -> int:
        return 1 + [arm.name for arm in self.record.arms].index(name)


def _capture_piece(record: Record) -> Piece:
    """Return the rollouts that every decision begins with."""
    asked = request(start(record.driver.plan))
    if asked is None:
        raise RuntimeError("a decision begins with a capture")
    return asked.pieces[0]


def _nested(values: Shaped[np.ndarray, "task seed"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(one) for one in row) for row in values)
