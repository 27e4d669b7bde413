"""Registration with Gymnasium; importing `attnscope_env` is enough."""

from __future__ import annotations

from typing import Final

import gymnasium

from attnscope_env.room import DEFAULT_HORIZON

DARKROOM_ID: Final = "attnscope/Darkroom-v0"


def register() -> None:
    """Register the environments, once."""
    if DARKROOM_ID not in gymnasium.registry:
        gymnasium.register(
            DARKROOM_ID,
            entry_point="attnscope_env.darkroom:DarkroomEnv",
            vector_entry_point="attnscope_env.darkroom_vector:darkroom_vector",
            max_episode_steps=DEFAULT_HORIZON,
        )
