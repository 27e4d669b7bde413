"""Speed and memory of a chosen arm, beside the fastest exact way to serve the uncompressed policy.

The ways are timed in turn, and ratios are taken round by round, so that a machine that others use slows all of them
alike. Faster is said only where the lower limit of the median ratio says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from attnscope_model.acting.deciding import Decider
from attnscope_model.compression.deciding import CompressedDecider, PlainDecider
from attnscope_model.compression.packed import decisions_between
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies import strategy
from attnscope_model.strategies.learned import Latents, packing_memory
from attnscope_server.deciding.phases.record import setup_of
from attnscope_server.trials.acting import Deciding
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import PolicyDescription
from attnscope_storage.wire.specifications.cards import CardArm, CardMemory, CardPhase, CardSpeed

ENVS: Final = 8
"""Environments that are timed together."""

DECISIONS: Final = 10
"""Timed decisions of every way in one round, at least."""

ROUNDS: Final = 9
"""Rounds in which all ways take turns; the second lowest and second highest ratio of 9 are a 96 % interval (signs)."""

FLOAT_BYTES: Final = 4

CLEARLY: Final = 1.05
"""Ratio of times below which no arm is called faster."""


class _Cached:
    """Uncompressed contexts from kept keys and values while the window grows, anew once it slides."""

    def __init__(self, policy: Policy, envs: int, device: torch.device) -> None:
        self._policy = policy
        self._decider = Decider(policy, envs, device, sums="elsewhere")

    def caches(self, step: int) -> bool:
        """Tell whether the decision after so many transitions is taken from the cache."""
        return self._decider.caches(step)

    def decide(self, observation: Any) -> Tensor:  # noqa: ANN401 - arrays of either library
        return self._decider.decide(observation).logits

    def pass_by(self, observation: Any) -> None:  # noqa: ANN401 - as above
        """Decide, so that the cache holds what came before."""
        if self._decider.caches(self._decider.window.seen):
            self._decider.decide(observation)

    def append(self, observation: Any, action: Any, reward: Any, next_observation: Any, ended: Any) -> None:  # noqa: ANN401, ARG002 - as above
        self._decider.append(observation, action, reward, next_observation)

    def copy(self) -> _Cached:
        return deepcopy(self, {id(self._policy): self._policy})


@dataclass
class Timer:
    """Times three ways to decide in turns, on captured histories.

    Parameters
    ----------
    capture
        Histories of the uncompressed policy.
    before
        Called before every piece of work; stops everything by raising.
    """

    policy: Policy
    device: torch.device
    capture: CaptureReader
    steps: int
    before: Callable[[], None]
    _columns: dict[str, Shaped[np.ndarray, "step env ..."]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the histories of some environments."""
        envs = min(ENVS, int(self.capture.array("env/task").shape[0]))
        for name in ("observation", "action", "reward", "next_observation", "terminated", "truncated"):
            self._columns[name] = np.asarray(self.capture.array(f"rollout/{name}")[: self.steps, :envs])

    @property
    def envs(self) -> int:
        """Environments that are timed together."""
        return int(self._columns["action"].shape[1])

    def speed(self, arm: CardArm) -> CardSpeed:
        """Return the speed of an arm, with the window half full and full."""
        full = self.policy.description.transitions
        found = [self._phase(arm, name, step) for name, step in (("growing", full // 2), ("full", full))]
        threads = torch.get_num_threads()
        cpu = f"{self.device.type}, {threads} thread{'s' if threads > 1 else ''}"
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else cpu
        phases = tuple(found)
        load, cores = load_of_the_machine()
        words = speed_words(phases) + busy_words(load, cores)
        return CardSpeed(envs=self.envs, device=device, phases=phases, words=words, load=load, cores=cores)

    def _phase(self, arm: CardArm, name: str, step: int) -> CardPhase:
        ways: dict[str, Any] = {
            "arm": CompressedDecider(self.policy, [setup_of(arm)], torch.arange(self.envs), self.device),
            "recomputed": PlainDecider(self.policy, self.envs, self.device),
        }
        cached, many = _Cached(self.policy, self.envs, self.device), self._timed_decisions(arm)
        if cached.caches(step + many):
            ways["cached"] = cached
        with torch.inference_mode():
            for way in ways.values():
                self._lead(way, step)
            taken: dict[str, list[float]] = {key: [] for key in ways}
            for turn in range(ROUNDS + 1):
                for key in ways if turn % 2 else reversed(ways):
                    self.before()
                    seconds = self._timed(ways[key].copy(), step, many)
                    taken[key] += [seconds] if turn else []  # the first round warms up
        rounds = {key: np.array(values) for key, values in taken.items()}
        middle = {key: float(np.median(values)) for key, values in rounds.items()}
        fastest = min((key for key in ways if key != "arm"), key=lambda key: middle[key])
        ratios = np.sort(rounds[fastest] / rounds["arm"])
        phase: Literal["growing", "full"] = "growing" if name == "growing" else "full"
        return CardPhase(
            phase=phase,
            seconds=middle["arm"],
            recomputed=middle["recomputed"],
            cached=middle.get("cached"),
            ratio=float(np.median(ratios)),
            low=float(ratios[1]),
            high=float(ratios[-2]),
        )

    def _lead(self, way: Deciding, step: int) -> None:
        """Give a way to decide its history up to a step."""
        for at in range(step):
            self.before()
            transition = self._transition(at)
            way.pass_by(transition[0])
            way.append(*transition)

    def _timed_decisions(self, arm: CardArm) -> int:
        """Return how many decisions are timed: of an arm that packs a whole cycle, so that its compression counts."""
        rule = setup_of(arm).rule
        return max(DECISIONS, decisions_between(rule, self.policy)) if isinstance(rule, Latents) else DECISIONS

    def _timed(self, way: Deciding, step: int, many: int) -> float:
        """Return the mean seconds of so many decisions, each with its transition added."""
        begun = time.perf_counter()
        for at in range(step, step + many):
            transition = self._transition(at)
            way.decide(transition[0])
            way.append(*transition)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return (time.perf_counter() - begun) / many

    def _transition(self, step: int) -> tuple[Shaped[np.ndarray, "env ..."], ...]:
        at = step % len(self._columns["action"])
        ended = (self._columns["terminated"][at] > 0) | (self._columns["truncated"][at] > 0)
        names = ("observation", "action", "reward", "next_observation")
        return (*(self._columns[name][at] for name in names), ended)


def speed_words(phases: tuple[CardPhase, ...]) -> str:
    """Say where an arm is faster than the fastest exact way to serve the uncompressed policy, and where it is not."""
    when = {"growing": "while the window grows", "full": "once the window slides"}
    parts = []
    for one in phases:
        way = "recomputing" if one.cached is None or one.recomputed <= one.cached else "the exact cache"
        spread = "" if one.low is None or one.high is None else f", {one.low:.2f} to {one.high:.2f}"
        if (one.ratio if one.low is None else one.low) >= CLEARLY:
            parts.append(f"{one.ratio:.1f}× as fast as {way} {when[one.phase]}{spread}")
        elif one.ratio < CLEARLY:
            parts.append(f"no faster than {way} {when[one.phase]} ({one.ratio:.2f}×{spread})")
        else:
            parts.append(f"not surely faster than {way} {when[one.phase]} ({one.ratio:.2f}×{spread})")
    return "; ".join(parts)


def load_of_the_machine() -> tuple[float | None, int | None]:
    """Return the processes that ran or waited to, on average over the last minute, and the cores for them."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return load, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def busy_words(load: float | None, cores: int | None) -> str:
    """Say that times were taken while others held the processor; nothing where they were not."""
    if load is None or cores is None or load <= cores + 1:  # the timing itself is one of those that ran
        return ""
    return f"; timed on a busy machine (load {load:g} on {cores} cores): time your own loop before you cite this"


def memory_of(arm: CardArm, policy: PolicyDescription, steps: int) -> CardMemory:
    """Return the memory of one environment's context: keys and values of every layer in float32.

    Parameters
    ----------
    arm
        The chosen arm.
    policy
        The policy that acts.
    steps
        Steps of a rollout, which an arm that packs everything anew holds to its end.
    """
    full = policy.transitions * policy.tokens_per_transition
    each = 2 * policy.layers * policy.width * FLOAT_BYTES
    if arm.strategy == Latents.name:
        return _packing_memory(arm, policy, full, each, steps)
    own = min(full, arm.tokens)
    words = f"{own} of {full} tokens; keys and values {own * each / 1024:.0f} of {full * each / 1024:.0f} KiB a context"
    return CardMemory(tokens=own, full_tokens=full, bytes=own * each, full_bytes=full * each, words=words)


def _packing_memory(arm: CardArm, policy: PolicyDescription, full: int, each: int, steps: int) -> CardMemory:
    """Return the memory of one context that is packed: of its fullest, and what a compression takes for a moment."""
    rule = strategy(arm.strategy, **arm.parameters)
    assert isinstance(rule, Latents)  # noqa: S101 - by its name
    moment = packing_memory(rule, policy, steps)
    whole = steps * policy.tokens_per_transition * policy.width * FLOAT_BYTES * int(rule.once)
    words = (
        f"{arm.tokens} of {full} tokens on the average, and as many as {full} before each compression; keys and values "
        f"{full * each / 1024:.0f} KiB a context then"
    )
    words += f", {whole / 1024:.0f} KiB for the rollout's tokens, which are packed anew each time" if whole else ""
    words += f", and a compression takes {moment / 1024:.0f} KiB for a moment" if moment else ""
    own = min(full, arm.tokens)
    return CardMemory(
        tokens=own, full_tokens=full, bytes=full * each + whole + moment, full_bytes=full * each, words=words
    )
