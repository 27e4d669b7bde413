"""Registration with Gymnasium; importing `attnscope_env` is enough."""

from __future__ import annotations

from typing import Final

import gymnasium

from attnscope_env.rooms.bandit import DEFAULT_BANDIT_HORIZON
from attnscope_env.rooms.key_to_door import DEFAULT_KEY_HORIZON
from attnscope_env.rooms.permuted import DEFAULT_PERMUTED_HORIZON
from attnscope_env.rooms.room import DEFAULT_HORIZON

DARKROOM_ID: Final = "attnscope/Darkroom-v0"
PERMUTED_ID: Final = "attnscope/DarkroomPermuted-v0"
KEY_TO_DOOR_ID: Final = "attnscope/DarkKeyToDoor-v0"
BANDIT_ID: Final = "attnscope/Bandit-v0"

ENTRIES: Final = (
    (DARKROOM_ID, "darkroom:DarkroomEnv", "darkroom_vector:darkroom_vector", DEFAULT_HORIZON),
    (PERMUTED_ID, "permuted:DarkroomPermutedEnv", "permuted_vector:permuted_vector", DEFAULT_PERMUTED_HORIZON),
    (KEY_TO_DOOR_ID, "key_to_door:DarkKeyToDoorEnv", "key_to_door_vector:key_to_door_vector", DEFAULT_KEY_HORIZON),
    (BANDIT_ID, "bandit:BanditEnv", "bandit_vector:bandit_vector", DEFAULT_BANDIT_HORIZON),
)
"""Id, single environment, vector environment, steps of an episode."""


def register() -> None:
    """Register the environments, once."""
    for environment_id, single, vector, horizon in ENTRIES:
        if environment_id not in gymnasium.registry:
            gymnasium.register(
                environment_id,
                entry_point=f"attnscope_env.rooms.{single}",
                vector_entry_point=f"attnscope_env.rooms.{vector}",
                max_episode_steps=horizon,
            )
