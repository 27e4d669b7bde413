"""The presets by name: one for each way in which checkpoint families number, start, end and split an environment."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attnscope_env.presets.bandits import bandit_preset
from attnscope_env.presets.permuted import permuted_preset
from attnscope_env.presets.repeat_previous import repeat_previous_preset
from attnscope_env.presets.rooms import darkroom_preset, key_to_door_preset
from attnscope_env.presets.splits import CINEMERE_TRAIN_RATIO, SplitRule
from attnscope_env.presets.tasks import EnvPreset

PRESETS: Final[Mapping[str, EnvPreset]] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            darkroom_preset("darkroom-reference", "Darkroom 9×9 as the AD reference numbers, starts and splits it."),
            darkroom_preset(
                "darkroom-toymeta",
                "Darkroom 9×9 with the action numbering of toymeta, ad-eps and cinemere; the reference's split.",
                actions="toymeta",
            ),
            darkroom_preset(
                "darkroom-cinemere",
                "Darkroom 9×9 as cinemere numbers and splits it: 41 train goals by the order that it stores.",
                actions="toymeta",
                rule=SplitRule("cinemere", train_ratio=CINEMERE_TRAIN_RATIO),
            ),
            darkroom_preset(
                "darkroom-ad-eps",
                "Darkroom 9×9 as ad-eps numbers and splits it: 65 train goals by NumPy's shuffle of seed 42.",
                actions="toymeta",
                rule=SplitRule("numpy", seed=42, train_ratio=0.8),
            ),
            darkroom_preset(
                "darkroom-dpt",
                "Darkroom 10×10 as DPT starts it in the corner and splits it: 80 train goals, 100 steps.",
                size=10,
                horizon=100,
                start=(0, 0),
                rule=SplitRule("numpy", seed=0, train_ratio=0.8),
            ),
            darkroom_preset("darkroom-13", "Darkroom 13×13, 40 steps; the reference's rule.", size=13, horizon=40),
            darkroom_preset("darkroom-17", "Darkroom 17×17, 50 steps; the reference's rule.", size=17, horizon=50),
            permuted_preset("darkroom-permuted", "Darkroom 9×9 with permuted actions, 50 steps, as DICP splits it."),
            key_to_door_preset("key-to-door", "Dark key-to-door 9×9, 50 steps, as DICP numbers, starts and splits it."),
            bandit_preset("bandit-bernoulli", "Five arms, 500 pulls, Bernoulli rewards; the reference's split rule."),
            bandit_preset(
                "bandit-gaussian",
                "Five arms, 500 pulls, Gaussian rewards of variance 0.3 as in DPT; the reference's split rule.",
                reward="gaussian",
            ),
            repeat_previous_preset(
                "repeat-previous",
                "POPGym's RepeatPrevious, one deck: the suit of 15 steps back, by answers that a task renames.",
            ),
        )
    }
)
"""By name."""
