"""Options of a request for each of our environments: models that check it and give the preset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from attnscope_env.popgym_tasks.answers import DECK
from attnscope_env.presets.bandits import BANDIT_TASKS, bandit_preset
from attnscope_env.presets.permuted import PERMUTED_RULE, permuted_preset
from attnscope_env.presets.repeat_previous import DEFAULT_K, repeat_previous_preset
from attnscope_env.presets.rooms import KEY_TO_DOOR_RULE, darkroom_preset, key_to_door_preset
from attnscope_env.presets.splits import CINEMERE_ORDER, SPLIT_SEED, TRAIN_RATIO, Shuffle, SplitRule
from attnscope_env.presets.tasks import EnvPreset
from attnscope_env.rooms.bandit import DEFAULT_ARMS, DEFAULT_BANDIT_HORIZON, DEFAULT_VARIANCE
from attnscope_env.rooms.key_to_door import DEFAULT_KEY_HORIZON
from attnscope_env.rooms.permuted import DEFAULT_PERMUTED_HORIZON
from attnscope_env.rooms.room import DEFAULT_HORIZON, DEFAULT_SIZE

CUSTOM = "custom"
"""Name of a preset that a request's keyword arguments make."""

Coordinate = Annotated[int, Field(ge=0)]


class Options(BaseModel, ABC):
    """Keyword arguments of a request, with defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    split_shuffle: Shuffle = Field(
        default="python", description="Whose shuffle; cinemere's is a stored order of Darkroom 9×9's goals."
    )
    split_seed: int = Field(default=SPLIT_SEED, ge=0, lt=2**32, description="Seed of the shuffle.")
    train_ratio: float = Field(default=TRAIN_RATIO, ge=0, le=1, description="Share of train tasks.", strict=False)

    @abstractmethod
    def preset(self) -> EnvPreset:
        """Return the preset that is asked for."""

    @model_validator(mode="after")
    def _goals_of_the_stored_order(self) -> Self:
        if self.split_shuffle == "cinemere" and not self._has_cinemeres_goals():
            raise ValueError("split_shuffle cinemere: expected Darkroom in a room of size 9, whose goals it orders")
        return self

    def _has_cinemeres_goals(self) -> bool:
        return False

    def rule(self) -> SplitRule:
        """Return the split rule."""
        return SplitRule(self.split_shuffle, self.split_seed, self.train_ratio)


class RoomOptions(Options):
    """Options of a room."""

    size: int = Field(default=DEFAULT_SIZE, ge=2, le=64, description="Rows and columns of the room.")
    horizon: int = Field(default=DEFAULT_HORIZON, ge=1, le=10_000, description="Steps of an episode.")
    actions: Literal["reference", "toymeta"] = Field(default="reference", description="Action numbering.")
    start: Annotated[list[Coordinate], Field(min_length=2, max_length=2, strict=False)] | None = Field(
        default=None, description="Cell where episodes start; null is the centre."
    )

    @model_validator(mode="after")
    def _start_inside(self) -> Self:
        if self.start is not None and max(self.start) >= self.size:
            raise ValueError(f"expected a start inside a room of {self.size}×{self.size} cells, got {self.start}")
        return self

    def room(self) -> dict[str, Any]:
        """Return the arguments of a preset."""
        return {
            "size": self.size,
            "horizon": self.horizon,
            "actions": self.actions,
            "start": None if self.start is None else (self.start[0], self.start[1]),
            "rule": self.rule(),
        }


class DarkroomOptions(RoomOptions):
    """Options of a Darkroom."""

    def _has_cinemeres_goals(self) -> bool:
        return self.size**2 == len(CINEMERE_ORDER)

    def preset(self) -> EnvPreset:
        """Return a Darkroom."""
        return darkroom_preset(CUSTOM, "Darkroom as a request describes it.", **self.room())


class KeyToDoorOptions(RoomOptions):
    """Options of a dark key-to-door room."""

    size: int = Field(default=DEFAULT_SIZE, ge=2, le=13, description="Rows and columns; it has size⁴ tasks.")
    horizon: int = Field(default=DEFAULT_KEY_HORIZON, ge=1, le=1_000, description="Steps of an episode.")
    split_seed: int = Field(default=KEY_TO_DOOR_RULE.seed, ge=0, lt=2**32, description="Seed of the shuffle.")
    train_ratio: float = Field(
        default=KEY_TO_DOOR_RULE.train_ratio, ge=0, le=1, description="Share of train tasks.", strict=False
    )

    def preset(self) -> EnvPreset:
        """Return a dark key-to-door room."""
        return key_to_door_preset(CUSTOM, "Dark key-to-door as a request describes it.", **self.room())


class PermutedOptions(Options):
    """Options of a Darkroom with permuted actions."""

    size: int = Field(default=DEFAULT_SIZE, ge=2, le=64, description="Rows and columns of the room.")
    horizon: int = Field(default=DEFAULT_PERMUTED_HORIZON, ge=1, le=10_000, description="Steps of an episode.")
    actions: Literal["reference", "toymeta"] = Field(default="reference", description="The numbering permuted.")
    split_seed: int = Field(default=PERMUTED_RULE.seed, ge=0, lt=2**32, description="Seed of the shuffle.")

    def preset(self) -> EnvPreset:
        """Return a Darkroom with permuted actions."""
        return permuted_preset(
            CUSTOM,
            "Permuted actions as a request describes them.",
            size=self.size,
            horizon=self.horizon,
            actions=self.actions,
            rule=self.rule(),
        )


class BanditOptions(Options):
    """Options of a bandit."""

    arms: int = Field(default=DEFAULT_ARMS, ge=1, le=100, description="Number of arms.")
    reward: Literal["bernoulli", "gaussian"] = Field(default="bernoulli", description="Distribution of rewards.")
    variance: float = Field(default=DEFAULT_VARIANCE, ge=0, le=1e6, strict=False, description="Of Gaussian rewards.")
    horizon: int = Field(default=DEFAULT_BANDIT_HORIZON, ge=1, le=10_000, description="Pulls of an episode.")
    tasks: int = Field(default=BANDIT_TASKS, ge=1, le=10_000, description="Number of bandits.")
    means_seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of the means.")

    def preset(self) -> EnvPreset:
        """Return bandits."""
        return bandit_preset(
            CUSTOM,
            "Bandits as a request describes them.",
            arms=self.arms,
            reward=self.reward,
            variance=self.variance,
            horizon=self.horizon,
            tasks=self.tasks,
            means_seed=self.means_seed,
            rule=self.rule(),
        )


class RepeatPreviousOptions(Options):
    """Options of POPGym's RepeatPrevious."""

    k: int = Field(
        default=DEFAULT_K, ge=1, le=207, description="Cards from the one asked for to the newest, inclusive."
    )
    decks: int = Field(default=1, ge=1, le=4, description="Decks of an episode, which has 52 · decks - 1 steps.")

    @model_validator(mode="after")
    def _card_in_the_decks(self) -> Self:
        if self.k >= DECK * self.decks:
            raise ValueError(f"expected k below the {DECK * self.decks} cards of an episode, got {self.k}")
        return self

    def preset(self) -> EnvPreset:
        """Return RepeatPrevious."""
        return repeat_previous_preset(
            CUSTOM, "RepeatPrevious as a request describes it.", k=self.k, decks=self.decks, rule=self.rule()
        )
