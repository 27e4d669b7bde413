"""A process a room, as the reference steps its environments. Imports no torch: every process would."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np


def serve_room(pipe: Connection, goal: tuple[int, int]) -> None:
    """Step one room for whoever holds the other end of the pipe: (s', reward, next observation, ended)."""
    import gymnasium  # noqa: PLC0415 - in the child

    import attnscope_env  # noqa: F401, PLC0415 - registers the room

    room = gymnasium.make("attnscope/Darkroom-v0", goal=goal)
    observation, _ = room.reset(seed=0)
    pipe.send(observation)
    while (action := pipe.recv()) is not None:
        reached, reward, terminated, truncated, _ = room.step(action)
        ended = terminated or truncated
        pipe.send((reached, reward, room.reset()[0] if ended else reached, ended))


class ProcessRooms:
    """A process a room, as the reference steps its environments."""

    def __init__(self, goals: Sequence[tuple[int, int]]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["gymnasium", "attnscope_env", "benchmarks.rooms"])
        self._ends, self._children = [], []
        for goal in goals:
            ours, theirs = context.Pipe()
            child = context.Process(target=serve_room, args=(theirs, goal), daemon=True)
            child.start()
            self._ends.append(ours)
            self._children.append(child)
        self.observation = np.stack([end.recv() for end in self._ends])

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move every room; return s' and rewards, and keep the next observation."""
        for end, action in zip(self._ends, actions, strict=True):
            end.send(int(action))
        reached, rewards, following, _ = zip(*(end.recv() for end in self._ends), strict=True)
        self.observation = np.stack(following)
        return np.stack(reached), np.array(rewards, np.float32)

    def close(self) -> None:
        """End the processes."""
        for end, child in zip(self._ends, self._children, strict=True):
            end.send(None)
            child.join()
