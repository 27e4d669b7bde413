"""Gymnasium environments for in-context RL, their vectorised twins and the presets that bind them to a family."""

from attnscope_env.presets.gymnasium_entry import GymnasiumEntry
from attnscope_env.presets.listing import LISTED, EnvironmentListing, Listings, listing, preset
from attnscope_env.presets.named import PRESETS
from attnscope_env.presets.splits import SplitRule
from attnscope_env.presets.tasks import EnvPreset, Task
from attnscope_env.rooms.array_vector import ArrayVectorEnv, terminal_observations
from attnscope_env.rooms.bandit import BanditEnv
from attnscope_env.rooms.bandit_vector import BanditVectorEnv
from attnscope_env.rooms.darkroom import DarkroomEnv
from attnscope_env.rooms.darkroom_vector import DarkroomVectorEnv
from attnscope_env.rooms.key_to_door import DarkKeyToDoorEnv
from attnscope_env.rooms.key_to_door_vector import DarkKeyToDoorVectorEnv
from attnscope_env.rooms.observations import EnvironmentUnusableError, observation_layout
from attnscope_env.rooms.permuted import DarkroomPermutedEnv
from attnscope_env.rooms.permuted_vector import DarkroomPermutedVectorEnv
from attnscope_env.rooms.registration import register
from attnscope_env.rooms.seeds import environment_seeds

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
