"""The rollouts of one policy, by the functions of a decision's own phases, in parts that are kept in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from attnscope_env.presets.named import PRESETS
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.compression import Compression
from attnscope_server.deciding.phases.rollouts import Stage, axis_of
from attnscope_server.deciding.statistics.episodes import first_binding_episode, mean_return
from attnscope_server.deciding.statistics.gate import Gate, gate
from attnscope_server.deciding.statistics.race import race
from attnscope_server.screening import Histories, screen
from attnscope_storage.proposing import BASELINES, distinct, first_of_each, least_of, votes_of
from benchmarks.study2.subjects import (
    CAPTURE_SEEDS,
    CAPTURE_TASKS,
    CONFIRM_SEEDS,
    DECISIONS,
    RACE_TASKS,
    SECOND,
    Blocks,
    Subject,
    checkpoint_of,
    named,
)

CPU = torch.device("cpu")
Arrays = dict[str, np.ndarray[Any, Any]]

ROOMS = {"darkroom-13": "darkroom-13", "key-to-door": "key-to-door"}
"""Preset of the subjects that are not in the 9×9 Darkroom."""

SCREENED = ("departure", "signed", "retained", "kept")
TOLD = ("decision/live", "decision/follows", "decision/episode", "rollout/live_each", "rollout/earned")


@dataclass
class Study:
    """One policy at work.

    Parameters
    ----------
    subject
        The policy and how it is tried.
    registry
        Holds the shipped checkpoints.
    folder
        Keeps the parts; a part that is there is not made again.
    blocks
        First seeds of the parts.
    stands
        Vote that chooses the positions of a rule that races.
    """

    subject: Subject
    registry: CheckpointRegistry
    folder: Path
    blocks: Blocks = SECOND
    stands: str = "departure"

    def __post_init__(self) -> None:
        """Find the policy, its room and its tasks."""
        info = checkpoint_of(self.subject, self.registry)
        self.preset = PRESETS[str(info.preset)]
        self.description = info.policy
        policy = load_policy(self.registry.folder(info.id), CPU)
        held_out = info.held_out_tasks or tuple(task.index for task in self.preset.tasks("test"))
        self.judges = tuple(held_out[: self.subject.judges])
        self.screening = tuple((info.validation_tasks or info.train_tasks or ())[:CAPTURE_TASKS])
        if set(self.judges) & ({*(info.train_tasks or ())} | set(self.screening)):
            raise ValueError(f"{self.subject.key}: a judging task was trained on or screened")
        self.stage = Stage(
            policy=policy,
            environments=lambda axis: self.preset.make_vector([self.preset.task(int(index)) for index in axis.task]),
            name=self.preset.environment_id,
            device=CPU,
            steps=self.subject.episodes * self.preset.horizon,
            episodes=self.subject.episodes,
            temperature=1.0,
            most_rewards=self.preset.most_rewards,
            stopped=lambda: False,
            advanced=lambda _share: None,
        )

    def run(self) -> None:
        """Make every part that the folder lacks: capture, screen, race, board."""
        self.part("capture", self._capture)
        self.part("screen", self._screen)
        if self.subject.dips:
            self.part("dips", lambda: self.screened(self.subject.dip_arms))
        gated = self.gate()
        print(f"{self.subject.key}: {gated.sentence}", flush=True)
        self.part("race", self._race)
        self.part("plain", lambda: self.uncompressed(self.blocks.board, self.subject.seeds))
        arms, each = self.subject.arms, len(self.subject.rules)
        for first in range(0, len(arms), each):
            self.part(f"board-{first:03}", lambda first=first: self._board(first, arms[first : first + each]))  # type: ignore[misc]

    def confirm(self) -> None:
        """Judge the race's pick of the smallest saving on fresh seeds of the judging tasks."""
        pick = self.subject.arms[int(self.part("race", self._race)["pick"][0])]

        def rolled() -> Arrays:
            seeds = (self.blocks.confirm, self.blocks.confirm + CONFIRM_SEEDS)
            [arm] = self.stage.compressed([pick], axis_of(self.judges, *seeds))
            return {"return": self.shaped(arm.returns), **self.uncompressed(self.blocks.confirm, CONFIRM_SEEDS)}

        self.part("confirm", rolled)

    def part(self, name: str, make: Callable[[], Arrays]) -> Mapping[str, np.ndarray[Any, Any]]:
        """Return a part from the folder, or make it and put it there."""
        path = self.folder / self.subject.key / f"{name}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            began = time.process_time()
            made = make()
            half = path.with_suffix(".half.npz")
            np.savez(half, **made)  # type: ignore[arg-type]
            half.rename(path)
            print(f"{self.subject.key}: {name}, {time.process_time() - began:.0f} CPU seconds", flush=True)
        with np.load(path) as stored:
            return dict(stored)

    def gate(self) -> Gate:
        """Return the gate, as a decision reads it from its capture."""
        returns = self.part("capture", self._capture)["captured"]
        late = mean_return(returns, returns.shape[1] - max(1, returns.shape[1] // 3))
        shape = (len(self.screening), -1)
        earned = (np.nan_to_num(returns) != 0).any(axis=1)
        return gate(late.reshape(shape), self._random(self.screening), earned.reshape(shape))

    def first_episode(self) -> int:
        """Return the episode from which on the largest count binds in every captured rollout."""
        begins = self.part("capture", self._capture)["begins"]
        first = first_binding_episode(begins, self.subject.counts[0])
        if first is None:
            raise ValueError(f"{self.subject.key}: {self.subject.counts[0]} transitions never bind")
        return first

    def _random(self, tasks: tuple[int, ...]) -> Float[np.ndarray, " task"]:
        return np.array([self.preset.task(task).random_return for task in tasks], np.float64)

    def _capture(self) -> Arrays:
        rolled, histories = self.stage.captured(
            axis_of(self.screening, self.blocks.capture, self.blocks.capture + CAPTURE_SEEDS)
        )
        capacity, episodes = self.description.transitions, self.subject.episodes
        begins = np.full((len(rolled.episode), episodes), -1, np.int64)
        for number in range(episodes):
            there = (rolled.episode == number).any(axis=1)
            step = (rolled.episode == number).argmax(axis=1)
            begins[there, number] = np.minimum(step[there], capacity)
        kept = {name: value for name, value in vars(histories).items() if value is not None}
        kept["rows"] = kept["rows"].astype(np.float16)  # as captures store them
        return {**kept, "captured": rolled.returns, "begins": begins}

    def _histories(self) -> Histories:
        stored = self.part("capture", self._capture)
        kept = {name: value for name, value in stored.items() if name not in {"captured", "begins"}}
        return Histories(**{**kept, "rows": kept["rows"].astype(np.float32)})

    def screened(self, arms: tuple[Compression, ...]) -> Arrays:
        """Screen the captured histories under some arms."""
        found = screen(
            self.stage.policy,
            self._histories(),
            arms,
            decisions=DECISIONS,
            temperature=1.0,
            most_rewards=self.preset.most_rewards,
        )
        if [arm.setup for arm in found.plan.arms] != list(arms):
            raise ValueError("a screen of deployable arms keeps their order")
        arrays = {f"screen/{name}": found.arrays[f"screen/{name}"] for name in SCREENED}
        small = {name: values.astype(np.float16) for name, values in arrays.items() if values.dtype == np.float32}
        return arrays | small | {name: found.arrays[name] for name in TOLD} | {"task": found.task}

    def _screen(self) -> Arrays:
        return self.screened(self.subject.arms)

    def _race(self) -> Arrays:
        """Race each count's proposals on screening tasks; of every count the arm that stayed longest is the pick."""
        arms, arrays = self.subject.arms, self.part("screen", self._screen)
        votes = votes_of(arrays, arrays["task"])
        rules = [arm.rule.name for arm in arms]
        order = sorted(range(len(arms)), key=lambda place: rules[place] not in BASELINES)
        single = distinct(arrays, [arm.budget for arm in arms], order)
        picks, spent, proposed = [], 0, np.zeros((len(self.subject.counts), len(arms)), np.bool_)
        for number, count in enumerate(self.subject.counts):
            members = [place for place in single if arms[place].budget == count]
            mine = least_of(votes.named[self.stands], rules, members)
            voted = {place for places in first_of_each(votes, mine).values() for place in places}
            if not self.gate().screen_ranks:
                voted = set(mine)
            racing = [place for place in mine if place in voted or rules[place] in BASELINES]
            proposed[number, racing] = True
            standing = race([str(place) for place in racing], partial(self._round, count))
            picks.append(int(standing.order[0]))
            spent += standing.rollouts
            print(f"{self.subject.key}: race at {count}: {named(arms[picks[-1]])} of {len(racing)}", flush=True)
        return {"pick": np.array(picks), "proposed": proposed, "rollouts": np.array(spent)}

    def _round(self, count: int, names: tuple[str, ...], first: int, last: int) -> Float[np.ndarray, "arm pair"]:
        """Return the pairs of one round, which is kept: a race goes on where it was."""
        return self.part(f"race-{count}-{first}", lambda: {"pairs": self._pairs(names, first, last)})["pairs"]

    def _pairs(self, names: tuple[str, ...], first: int, last: int) -> Float[np.ndarray, "arm pair"]:
        tasks = self.screening[:RACE_TASKS]
        axis = axis_of(tasks, self.blocks.race + first // len(tasks), self.blocks.race + last // len(tasks))
        rolled = self.stage.compressed([self.subject.arms[int(name)] for name in names], axis)
        means = [mean_return(one.returns, self.first_episode()).reshape(len(tasks), -1) for one in rolled]
        return np.stack([one.T.ravel() for one in means])

    def _board(self, first: int, arms: tuple[Compression, ...]) -> Arrays:
        """Roll some arms out seed by seed: a rollout depends on its task, seed and arm alone."""

        def seed(number: int) -> Arrays:
            rolled = self.stage.compressed(arms, axis_of(self.judges, number, number + 1))
            return {"return": np.stack([self.shaped(one.returns) for one in rolled])}

        begin = self.blocks.board
        parts = [
            self.part(f"board-{first:03}-{number}", lambda number=number: seed(number))  # type: ignore[misc]
            for number in range(begin, begin + self.subject.seeds)
        ]
        return {"return": np.concatenate([part["return"] for part in parts], axis=1)}

    def uncompressed(self, first: int, seeds: int) -> Arrays:
        """Roll the uncompressed policy out on the judging tasks."""
        rolled = self.stage.uncompressed(axis_of(self.judges, first, first + seeds))
        return {"plain": self.shaped(rolled.returns), "random": self._random(self.judges)}

    def shaped(self, returns: Float[np.ndarray, "rollout episode"]) -> Float[np.ndarray, "seed task episode"]:
        """Return returns [seed, task, episode], in float32."""
        by_task = returns.reshape(len(self.judges), -1, returns.shape[-1])
        return np.ascontiguousarray(by_task.transpose(1, 0, 2).astype(np.float32))


def screening_random(subject: Subject, tasks: tuple[int, ...]) -> Float[np.ndarray, " task"]:
    """Return the random return of a subject's screening tasks."""
    room = PRESETS[ROOMS.get(subject.key, "darkroom-reference")]
    return np.array([room.task(task).random_return for task in tasks], np.float64)
