"""Gymnasium environments for in-context RL, their vectorised twins and the presets that bind them to a family."""

from attnscope_env.array_vector import ArrayVectorEnv, terminal_observations
from attnscope_env.bandit import BanditEnv
from attnscope_env.bandit_vector import BanditVectorEnv
from attnscope_env.darkroom import DarkroomEnv
from attnscope_env.darkroom_vector import DarkroomVectorEnv
from attnscope_env.gymnasium_entry import GymnasiumEntry
from attnscope_env.key_to_door import DarkKeyToDoorEnv
from attnscope_env.key_to_door_vector import DarkKeyToDoorVectorEnv
from attnscope_env.listing import LISTED, EnvironmentListing, Listings, listing
from attnscope_env.observations import EnvironmentUnusableError, observation_layout
from attnscope_env.permuted import DarkroomPermutedEnv
from attnscope_env.permuted_vector import DarkroomPermutedVectorEnv
from attnscope_env.presets import PRESETS, preset
from attnscope_env.registration import register
from attnscope_env.seeds import environment_seeds
from attnscope_env.splits import SplitRule
from attnscope_env.tasks import EnvPreset, Task

register()

__all__ = [
    "LISTED",
    "PRESETS",
    "ArrayVectorEnv",
    "BanditEnv",
    "BanditVectorEnv",
    "DarkKeyToDoorEnv",
    "DarkKeyToDoorVectorEnv",
    "DarkroomEnv",
    "DarkroomPermutedEnv",
    "DarkroomPermutedVectorEnv",
    "DarkroomVectorEnv",
    "EnvPreset",
    "EnvironmentListing",
    "EnvironmentUnusableError",
    "GymnasiumEntry",
    "Listings",
    "SplitRule",
    "Task",
    "environment_seeds",
    "listing",
    "observation_layout",
    "preset",
    "register",
    "terminal_observations",
]
