"""Gymnasium environments for in-context RL, their vectorised twins and the presets that bind them to a family."""

from attnscope_env.darkroom import DarkroomEnv
from attnscope_env.darkroom_vector import DarkroomVectorEnv, terminal_observations
from attnscope_env.listing import LISTED, EnvironmentListing, listing, validate_kwargs
from attnscope_env.presets import PRESETS, EnvPreset, Task, preset
from attnscope_env.registration import register

register()

__all__ = [
    "LISTED",
    "PRESETS",
    "DarkroomEnv",
    "DarkroomVectorEnv",
    "EnvPreset",
    "EnvironmentListing",
    "Task",
    "listing",
    "preset",
    "terminal_observations",
    "validate_kwargs",
]
