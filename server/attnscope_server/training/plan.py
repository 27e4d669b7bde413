"""A training run's plan: tasks, histories, policy and recipe, resolved and stored beside what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attnscope_env import preset
from attnscope_env.histories.explorer import MAX_NOISE
from attnscope_env.presets.listing import EnvironmentPackageError
from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_model.families.ad import Positions
from attnscope_model.training.trainer import Recipe
from attnscope_server.training.layouts import CompressorPlan, Layout, why_unpackable, why_unsayable
from attnscope_server.training.recipe_fit import SEEDS, why_odd_recipe
from attnscope_server.training.start import StartPlan
from attnscope_server.training.under import UnderPlan
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.wire.wording import sentence

VALIDATION_SHARE = 0.1
"""Share of the train split that is kept from training, to choose between runs and steps by."""

MIN_VALIDATION_TASKS = 8
"""Tasks kept for validation at least."""

SourceName = Literal["explorer", "sweeper", "annealed", "q-learning", "ppo", "own"]
SEARCHING: Final = ("explorer", "sweeper")
"""Sources that search a room."""

MEANING: Final = (*SEARCHING, "own")
"""Sources that know what they mean to do; noise of a plan's own, and targets other than what was done, are theirs."""

Targets = Literal["taken", "intended"]


class PlanUnfitError(AttnscopeError, ValueError):
    """A plan whose values do not fit together."""


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what pydantic says of a plan's values into one sentence."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PlanUnfitError(f"{where}: {sentence(first)}") from error


class TaskLists(BaseModel):
    """Disjoint task indices: to train on, to choose by, and to use once at the end."""

    model_config = ConfigDict(frozen=True)

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


class HistoryPlan(BaseModel):
    """The learning histories that are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: SourceName = "explorer"
    per_task: int = Field(default=100, ge=1, description="Histories of each train task.")
    episodes: int = Field(default=16, ge=1, description="Episodes of a history.")
    every: int = Field(default=1, ge=1, description="Episodes that the source plays for each one kept, the last.")
    seed: int = Field(default=0, ge=0, lt=SEEDS)
    noise: float = Field(
        default=MAX_NOISE, ge=0, le=1, description="Random actions of explorer, sweeper and own, at most."
    )
    targets: Targets = Field(default="taken", description="Learn what such a source did, or what it meant to do.")

    def refuse_unfit(self) -> None:
        """Refuse what the source has no use for.

        Raises
        ------
        PlanUnfitError
            Noise or targets are asked of a source that learns, or episodes left out of one that searches.
        """
        if self.source in MEANING:
            if self.every > 1:
                raise PlanUnfitError(
                    f"expected every episode of the source {self.source}, got one of {self.every}: what it does next "
                    "follows from all that it found before, which would not be in the history"
                )
        elif self.noise != MAX_NOISE or self.targets != "taken":
            raise PlanUnfitError(
                f"noise and intended targets are of the sources {', '.join(MEANING)}, not {self.source}'s"
            )


class TrainingPlan(BaseModel):
    """All that decides a run; equal plans give equal weights on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "darkroom-reference"
    histories: HistoryPlan = HistoryPlan()
    layout: Layout = "native"
    compressor: CompressorPlan = Field(default=CompressorPlan(), description="Of the layout cad alone.")
    positions: Positions = "learned-absolute"
    clock_steps: int = Field(default=0, ge=0, description="Tokens know their step of the episode: the horizon, or 0.")
    clock_episodes: int = Field(default=0, ge=0, description="And its number, counted modulo this; 0: not.")
    context_length: int = Field(default=160, ge=2)
    width: int = 64
    layers: int = 3
    heads: int = 4
    feedforward: int = 256
    recipe: Recipe = Recipe(steps=2400)
    under: UnderPlan | None = Field(default=None, description="The compression of its contexts; None: whole ones.")
    start: StartPlan | None = Field(default=None, description="The checkpoint it goes on from; None: drawn weights.")
    evaluate_every: int = Field(default=400, ge=1, description="Steps between evaluations on validation tasks.")
    save_every: int = Field(default=250, ge=1, description="Steps between checkpoints; each is kept.")

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the plan of options by name: fields of the plan, of its histories, and of its recipe."""

        def named(names: Iterable[str]) -> dict[str, Any]:
            return {name: options[name] for name in names if name in options}

        histories = HistoryPlan(**named(HistoryPlan.model_fields.keys() - {"seed"}))
        recipe = Recipe(**named(field.name for field in fields(Recipe)))
        return cls(histories=histories, recipe=recipe, **named(cls.model_fields.keys() - {"histories", "recipe"}))

    @property
    def model_name(self) -> str:
        """The kind of policy, in a word for folders and names."""
        kind = {"learned-absolute": "absolute"}.get(self.positions, self.positions)
        parts = ["CAD"] if self.layout == "cad" else ["AD", kind if self.layout == "native" else self.layout]
        if self.clock_steps:
            parts.append("clock" + ("" if not self.clock_episodes else str(self.clock_episodes)))
        if self.histories.source != "explorer":
            parts.append(self.histories.source)
        if self.recipe.lengths is not None:
            parts += ["at", *map(str, self.recipe.lengths)]
        if self.recipe.discovery_weight != 1:
            parts.append("discovery")
        if self.start is not None:
            parts += ["from", str(self.start.step)]
        if self.under is not None:
            parts += ["under", self.under.short]
        return "-".join(parts)

    @property
    def run_name(self) -> str:
        """Name of the run's folder: <model>-<env>-seed<k>."""
        return f"{self.model_name}-{self.preset}-seed{self.recipe.seed}"

    def environment(self) -> EnvPreset:
        """Return the preset.

        Raises
        ------
        PlanUnfitError
            There is none of that name, or an installed package's cannot be listed.
        """
        try:
            return preset(self.preset)
        except (LookupError, EnvironmentPackageError) as error:
            raise PlanUnfitError(str(error)) from error

    def refuse_unfit(self) -> None:
        """Refuse what would fail, or mislead, only after the histories are made.

        Raises
        ------
        PlanUnfitError
            The values do not fit together.
        """
        room, recipe, size = self.environment(), self.recipe, self.width // max(1, self.heads)
        if room.features is None:
            raise PlanUnfitError(
                f"expected a preset whose observations are counted, as a room's cells are, got {room.name}: a policy "
                "has a table of them"
            )
        counts = {"steps": recipe.steps, "batch": recipe.batch, "width": self.width, "layers": self.layers}
        for name, count in (counts | {"heads": self.heads, "feedforward": self.feedforward}).items():
            if count < 1:
                raise PlanUnfitError(f"{name}: expected at least 1, got {count}")
        if (reason := why_odd_recipe(recipe, self.context_length)) is not None:
            raise PlanUnfitError(reason)
        if self.width % self.heads or (self.positions == "rotary" and size % 2):
            raise PlanUnfitError(f"expected heads of whole, even size, got width {self.width} over {self.heads} heads")
        self.histories.refuse_unfit()
        if self.context_length > (held := self.histories.episodes * room.horizon):
            raise PlanUnfitError(
                f"expected a context of {held} tokens at most, the steps of a history, got {self.context_length}"
            )
        if (episode := recipe.episode_steps) is not None and (
            episode != room.horizon or self.context_length % episode or self.positions != "learned-absolute"
        ):
            raise PlanUnfitError(
                f"windows that begin with episodes want {room.horizon} episode_steps, a context of whole episodes and "
                f"learned positions, got {episode}, {self.context_length} and {self.positions}"
            )
        if recipe.discovery_weight != 1 and (self.under is not None or self.layout == "cad"):
            raise PlanUnfitError("discoveries are weighted where every decision of a window has a loss, not here")
        self._refuse_clock(room)
        self._refuse_layout(held)
        if self.start is not None:
            lists = self.task_lists()
            self.start.refuse_used(lists.train, (*lists.validation, *lists.test))

    def _refuse_clock(self, room: EnvPreset) -> None:
        """Refuse a clock that another step of the episode would be read from than the room's."""
        if self.clock_steps not in (0, room.horizon) or (self.clock_episodes and not self.clock_steps):
            raise PlanUnfitError(
                f"a clock counts the {room.horizon} steps of an episode of {room.name}, and episodes beside them, got "
                f"{self.clock_steps} clock_steps and {self.clock_episodes} clock_episodes"
            )
        if self.clock_steps and not room.whole_episodes:
            raise PlanUnfitError(f"a clock wants episodes that all have the same length; those of {room.name} may not")
        if self.clock_steps and self.layout != "native":
            raise PlanUnfitError(f"only native files can say that a policy has a clock, not the layout {self.layout}")

    def _refuse_layout(self, history: int) -> None:
        """Refuse what a file in the layout cannot say, and a compressor that does not fit."""
        reason = why_unsayable(self.layout, self.preset, self.positions)
        if reason is None and self.layout == "cad":
            others = (self.under, self.start, self.recipe.lengths, self.recipe.episode_steps, self.recipe.short_length)
            reason = why_unpackable(self.compressor, self.context_length, self.width, history)
            if any(other is not None for other in others):
                reason = "a policy that packs its history is trained from drawn weights, on windows of one length"
        if reason is not None:
            raise PlanUnfitError(reason)

    def task_lists(self) -> TaskLists:
        """Return the split of the preset's tasks; validation is the end of the train split's own order."""
        room = self.environment()
        train = [task.index for task in room.tasks("train")]
        kept = max(MIN_VALIDATION_TASKS, round(len(train) * VALIDATION_SHARE))
        test = tuple(task.index for task in room.tasks("test"))
        return TaskLists(train=tuple(train[:-kept]), validation=tuple(train[-kept:]), test=test)


def tasks_of(room: EnvPreset, indices: tuple[int, ...], at_most: int | None = None) -> tuple[Task, ...]:
    """Return the tasks of these indices, or `at_most` of them spread evenly."""
    if at_most is not None and len(indices) > at_most:
        indices = tuple(indices[i * len(indices) // at_most] for i in range(at_most))
    return tuple(room.task(index) for index in indices)
