"""A capture, remote or downloaded, finished or running: arrays that fetch only what is indexed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float, Int

from attnscope.absent import WORDS, imported_from, why_absent
from attnscope.connecting.transport import Transport
from attnscope.errors import (
    AbsentArrayError,
    MapNotSampledError,
    MissingPackageError,
    NotCapturedError,
    NotReplayableError,
)
from attnscope.fetching.http_store import HttpStore
from attnscope.fetching.lazy import LazyArray
from attnscope.fetching.remote import Slicer
from attnscope.fetching.replay import Decision, Replayer
from attnscope.fetching.stored import Stored
from attnscope.notebook import capture_html
from attnscope.provenance import Origin
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import MAP_DIMS, CaptureSpec, MapKind, Positions, ResolvedCapture

if TYPE_CHECKING:
    import xarray


class ArrayGroup:
    """The arrays of one group as attributes: ``capture.stats.entropy``."""

    def __init__(self, capture: Capture, group: str) -> None:
        self._capture = capture
        self._group = group

    def __getattr__(self, name: str) -> LazyArray:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._capture[f"{self._group}/{name}"]
        except NotCapturedError as error:
            raise AbsentArrayError(error.message) from error

    def __dir__(self) -> list[str]:
        prefix = f"{self._group}/"
        return [name.removeprefix(prefix) for name in self._capture.names() if name.startswith(prefix)]


class Capture(Stored):
    """What one job captured. Use `JobHandle.capture` or `attnscope.open`.

    Raises
    ------
    StoreKindError
        What is stored there is a trial.
    """

    kind = "capture"

    def __init__(
        self,
        reader: CaptureReader,
        slicer: Slicer | None = None,
        replayer: Replayer | None = None,
        *,
        ask_state: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(reader, slicer, ask_state=ask_state)
        self._replayer = replayer

    @classmethod
    def remote(cls, transport: Transport, job: str, *, ask_state: Callable[[], str] | None = None) -> Self:
        """Return what is committed of a job by now; maps that were not stored are asked of the service.

        Parameters
        ----------
        transport
            An open connection.
        job
            Id of the job.
        ask_state
            Returns the state that the service says of the job now; None where nobody can be asked.
        """
        reader = CaptureReader.open(HttpStore(transport, job))
        replayer = Replayer(transport, job, reader.policy)
        return cls(reader, Slicer(transport, job), replayer, ask_state=ask_state)

    def __repr__(self) -> str:
        state = "complete" if self.complete else "incomplete"
        return f"<capture {self.job[:8]} of {self.resolved.checkpoint_name}: {self.steps_committed} steps, {state}>"

    def _repr_html_(self) -> str:
        return capture_html(self.origin, {name: self[name] for name in self.names()})

    @property
    def origin(self) -> Origin:
        """Where it comes from: checkpoint, mask, tasks, seeds, and how far its job is."""
        resolved = self.resolved
        return Origin(
            provenance=self.provenance,
            checkpoint=resolved.checkpoint_name,
            held_out=resolved.held_out,
            causal=self.policy.causal,
            job=self.job,
            committed=self.steps_committed,
            steps=resolved.steps,
            state=self.state,
        )

    @property
    def rows(self) -> LazyArray:
        """Decision rows, float16 [step, row_env, layer, head, slot]; NaN past the context."""
        return self["attention/rows"]

    @property
    def rollout(self) -> ArrayGroup:
        """Observations, actions, rewards, episodes."""
        return ArrayGroup(self, "rollout")

    @property
    def stats(self) -> ArrayGroup:
        """Statistics of every decision row."""
        return ArrayGroup(self, "stats")

    @property
    def context(self) -> ArrayGroup:
        """Context lengths and starts."""
        return ArrayGroup(self, "context")

    @property
    def env(self) -> ArrayGroup:
        """Task, seed, replica and split of each environment."""
        return ArrayGroup(self, "env")

    @property
    def spec(self) -> CaptureSpec:
        """What was asked for."""
        return self._told("spec", CaptureSpec)

    @property
    def resolved(self) -> ResolvedCapture:
        """What the specification meant: tasks, steps, sampled maps."""
        return self._told("resolved", ResolvedCapture)

    @property
    def steps_committed(self) -> int:
        """Steps that can be read."""
        return self._reader.steps_committed

    def map_steps(self) -> list[int]:
        """Return the steps whose whole maps are stored by now."""
        if "attention/map_step" not in self.names():
            return []
        return [int(step) for step in self["attention/map_step"][:]]

    def map(
        self, step: int, layer: int | None = None, head: int | None = None, env: int = 0, *, kind: MapKind = "weights"
    ) -> Float[np.ndarray, ...]:
        """Return an attention map [layer, head, query, slot], cut to the context.

        A stored one (float16) where the step was sampled, else one that the service replays (float32) and has checked
        against what is stored of that decision.

        Parameters
        ----------
        step
            Any committed step; offline, one of `map_steps`.
        layer, head
            Places among the stored layers and heads; None keeps the axis.
        env
            Place among the stored environments.
        kind
            ``weights``; ``value-weighted``, ‖A_ij f(x_j)‖ (Kobayashi et al., 2020); ``rollout``, heads averaged, so
            [layer, query, slot] (Abnar & Zuidema, 2020). The last two are always replayed.

        Raises
        ------
        MapNotSampledError
            No map of that step is stored, and there is no service to replay it.
        NotReplayableError
            Another kind is asked for where there is no service, or the policy does not allow it.

        Examples
        --------
        >>> capture.map(30, layer=2, head=0).shape  # 30 transitions and the query
        (31, 31)
        """
        sampled = self.map_steps() if kind == "weights" else []
        if step in sampled:
            n = self.length(step, env)
            take = tuple(slice(None) if at is None else at for at in (layer, head))
            return self["attention/maps"][(sampled.index(step), env, *take, slice(0, n), slice(0, n))]
        layers, heads = self._places("layer", layer), self._places("head", head)
        try:
            found = self._replayed(Decision(step, self.row_env(env), kind, layers, heads))
        except NotReplayableError as error:
            if kind != "weights":
                raise
            stored = ", ".join(map(str, sampled)) or "none"
            why = f"no map of step {step} is stored; stored are: {stored}; {error.message}"
            raise MapNotSampledError(why) from error
        chosen = {"layer": layer, "head": head}
        return found[tuple(0 if chosen.get(dim) is not None else slice(None) for dim in MAP_DIMS[kind])]

    def _places(self, axis: str, place: int | None) -> tuple[int, ...]:
        """Return the layers or heads at a place among the stored ones, all of them where it is None."""
        name = f"attention/row_{axis}"
        every = self[name][:].tolist() if name in self.names() else range(getattr(self.policy, f"{axis}s"))
        return tuple(every) if place is None else (every[place],)

    def leave_one_out(
        self, step: int, env: int = 0, *, positions: Positions = "reindex", transitions: Sequence[int] | None = None
    ) -> Float[np.ndarray, " left_out"]:
        """Return KL(π_full ‖ π_without) in nats for each transition left out of the context, oldest first.

        Parameters
        ----------
        step
            Any committed environment step.
        env
            Place among the stored environments.
        positions
            ``reindex`` packs what is left, as the policy's own loop would; ``mask`` keeps every token in its place and
            hides the transition's from all others.
        transitions
            Places in the window; None is all of them.

        Raises
        ------
        NotReplayableError
            There is no service to compute it, or the policy does not allow it.

        Examples
        --------
        >>> lost = capture.leave_one_out(30)
        >>> lost.shape, bool((lost >= 0).all())
        ((30,), True)
        """
        left_out = None if transitions is None else tuple(transitions)
        at = Decision(step, self.row_env(env), "leave-one-out", transitions=left_out, positions=positions)
        return self._replayed(at)

    def _replayed(self, decision: Decision) -> Float[np.ndarray, ...]:
        if self._replayer is None:
            raise NotReplayableError(
                f"{decision.kind} of a step that is not stored needs the checkpoint, so a service: "
                f"attnscope.connect().job({self.job!r}).capture()"
            )
        return self._replayer.fetch(decision)

    def row_env(self, env: int) -> int:
        """Return the entry of the env axis at a place among the stored environments.

        Parameters
        ----------
        env
            Place among the stored environments.
        """
        return int(self["attention/row_env"][env]) if "attention/row_env" in self.names() else env

    def length(self, step: int, env: int = 0) -> int:
        """Return the tokens of the context, the query among them.

        Parameters
        ----------
        step
            Environment step.
        env
            Place among the stored environments.

        Examples
        --------
        >>> capture.length(30)
        31
        """
        return int(self.context.length[step, self.row_env(env)])

    def lacks(self, name: str) -> str | None:
        """Return the sentence that says why something is absent; None where it is there.

        Parameters
        ----------
        name
            An array, ``returns``, or a field of the policy such as ``policy.width``; see `attnscope.absent`.
        """
        return None if name in self._said() else why_absent(name, self.kind, self.names(), self.provenance)

    def unsaid(self) -> list[str]:
        """Return in words everything that an imported capture leaves unknown; nothing of any other capture."""
        said = self._said()
        return [words for name, words in WORDS.items() if name not in said] if imported_from(self.provenance) else []

    def _said(self) -> set[str]:
        names, policy = set(self.names()), self.policy.model_dump()
        fields = {f"policy.{name}" for name, value in policy.items() if value is not None}
        told = self._reader.attributes.get("episode_returns") is not None
        return names | fields | ({"returns"} if told or {"rollout/reward", "rollout/episode"} <= names else set())

    def transition_index(self, step: int, env: int = 0) -> Int[np.ndarray, " slot"]:
        """Return the transition in each slot of a context; the query's own slot has the index of this step.

        Parameters
        ----------
        step
            Environment step.
        env
            Place among the stored environments.

        Examples
        --------
        >>> capture.transition_index(3)
        array([0, 1, 2, 3])
        """
        n, start = self.length(step, env), int(self.context.start[step, self.row_env(env)])
        history = start + np.arange(n - 1) // self.policy.tokens_per_transition
        query = start + (n - 1) // self.policy.tokens_per_transition
        return np.insert(history, 0 if self.policy.query_slot == "first" else n - 1, query)

    def episode_boundaries(self, step: int, env: int = 0) -> Int[np.ndarray, " boundary"]:
        """Return the slots where an episode begins, slot 0 left out; none where episodes were not captured.

        Parameters
        ----------
        step
            Environment step.
        env
            Place among the stored environments.
        """
        if "rollout/episode" not in self.names():
            return np.empty(0, np.int64)
        transitions = self.transition_index(step, env)
        first = int(transitions.min())
        episodes = self.rollout.episode[first : step + 1, self.row_env(env)][transitions - first]
        begins = np.flatnonzero(np.diff(episodes)) + 1
        return begins[begins > 1] if self.policy.query_slot == "first" else begins

    def returns(self) -> Float[np.ndarray, "env episode"]:
        """Return the return of every finished episode.

        Raises
        ------
        NotCapturedError
            An imported capture says neither returns nor rewards.

        Examples
        --------
        >>> capture.returns().shape  # environments, finished episodes
        (2, 3)
        """
        told = self._reader.attributes.get("episode_returns")  # of an imported capture, which has no step's reward
        if told is not None:
            return np.asarray(told, np.float64)
        if (why := self.lacks("returns")) is not None:
            raise NotCapturedError(why)
        reward, episode = self.rollout.reward[:], self.rollout.episode[:]
        ended = (self.rollout.truncated[:] > 0) | (self.rollout.terminated[:] > 0)
        finished = int(ended.sum(axis=0).min())
        sums = np.zeros((reward.shape[1], finished))
        for number in range(finished):
            sums[:, number] = np.where(episode == number, reward, 0).sum(axis=0)
        return sums

    def to_xarray(self) -> xarray.DataTree:
        """Return the capture as a lazy xarray tree.

        Raises
        ------
        MissingPackageError
            xarray is not installed.
        """
        try:
            import xarray  # noqa: PLC0415 - optional
        except ImportError as error:
            raise MissingPackageError("install xarray for this: pip install 'attnscope[xarray]'") from error
        return xarray.open_datatree(self._reader.store, engine="zarr", mask_and_scale=False, consolidated=True)  # type: ignore[arg-type]  # takes any zarr store

    def save_npz(self, path: str | Path) -> Path:
        """Write rewards per episode, rows and rollout into one file, under the guide's name if a folder is given.

        Parameters
        ----------
        path
            The file, or an existing folder, which gets ``attention_data.npz``.

        Returns
        -------
        Path
            The file that was written.
        """
        target = Path(path)
        if target.is_dir():
            target = target / "attention_data.npz"
        arrays: dict[str, Any] = {
            name.replace("/", "_"): self[name][:] for name in self.names() if name != "attention/maps"
        }
        partial = target.with_suffix(".partial.npz")
        np.savez_compressed(partial, rewards=self.returns(), **arrays)
        shutil.move(partial, target)
        return target
