"""A capture, remote or downloaded, finished or running: arrays, maps of any step, and exports."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float

from attnscope.connecting.transport import Transport
from attnscope.errors import (
    MapNotSampledError,
    MissingPackageError,
    NotReplayableError,
)
from attnscope.fetching.captured import CapturedArrays
from attnscope.fetching.compressions import Compressions, compressions_of
from attnscope.fetching.remote import Slicer
from attnscope.fetching.replay import Decision, Replayer
from attnscope.fetching.stored import reader_of
from attnscope.notebook import capture_html
from attnscope.provenance import Origin
from attnscope.shown import Shown
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import MAP_DIMS, MapKind, Positions

if TYPE_CHECKING:
    import xarray


class Capture(Shown, CapturedArrays):
    """The stored result of a capture job. Use `JobHandle.capture` or `attnscope.open`.

    Raises
    ------
    StoreKindError
        The store holds the result of another kind of job.
    """

    def __init__(
        self,
        reader: CaptureReader,
        slicer: Slicer | None = None,
        replayer: Replayer | None = None,
        *,
        ask_state: Callable[[], str] | None = None,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(reader, slicer, ask_state=ask_state)
        self._replayer = replayer
        self._transport = transport

    @classmethod
    def remote(cls, transport: Transport, job: str, *, ask_state: Callable[[], str] | None = None) -> Self:
        """Return the capture of a job as far as it is committed; the service computes maps that are not stored.

        Parameters
        ----------
        transport
            An open connection.
        job
            Id of the job.
        ask_state
            Returns the state that the service says of the job now; None where nobody can be asked.
        """
        reader = reader_of(transport, job, ask_state)
        replayer = Replayer(transport, job, reader.policy)
        return cls(reader, Slicer(transport, job), replayer, ask_state=ask_state, transport=transport)

    def __repr__(self) -> str:
        state = "complete" if self.complete else "incomplete"
        return f"<capture {self.job[:8]} of {self.resolved.checkpoint_name}: {self.steps_committed} steps, {state}>"

    def _repr_html_(self) -> str:
        return capture_html(self.origin, {name: self[name] for name in self.names()})

    @property
    def origin(self) -> Origin:
        """The origin of the capture: checkpoint, mask, tasks, seeds, and how far its job is."""
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
    def can_replay(self) -> bool:
        """True where a service can be asked to run the policy again."""
        return self._replayer is not None

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
        at = self.exact_place(env)
        sampled = self.map_steps() if kind == "weights" and at is not None else []
        if step in sampled:
            n = self.length(step, env)
            take = tuple(slice(None) if at is None else at for at in (layer, head))
            return self["attention/maps"][(sampled.index(step), at, *take, slice(0, n), slice(0, n))]
        layers, heads = self._places("layer", layer), self._places("head", head)
        try:
            tokens = self.length(step, env) if self.policy.window == "compressed" else None
            found = self._replayed(Decision(step, self.row_env(env), kind, layers, heads, tokens=tokens))
        except NotReplayableError as error:
            if kind != "weights":
                raise
            stored = ", ".join(map(str, sampled)) or "none"
            why = f"no map of step {step} is stored; stored are: {stored}; {error.message}"
            raise MapNotSampledError(why) from error
        chosen = {"layer": layer, "head": head}
        return found[tuple(0 if chosen.get(dim) is not None else slice(None) for dim in MAP_DIMS[kind])]

    def leave_one_out(
        self, step: int, env: int = 0, *, positions: Positions = "reindex", transitions: Sequence[int] | None = None
    ) -> Float[np.ndarray, " left_out"]:
        """Return KL(π_full ‖ π_without) in nats for each transition left out of the context, oldest first.

        Of action vectors without a distribution it is their scaled distance; `policy.output.influence` names the unit.

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

    def leave_one_latent_out(self, step: int, env: int = 0) -> Float[np.ndarray, " latent"]:
        """Return how far the decision departs where each latent is hidden from every other token.

        Of one choice it is the total variation of the distributions at temperature 1. Empty where the context holds no
        latents, as right after a compression.

        Parameters
        ----------
        step
            Any committed environment step.
        env
            Place among the stored environments.

        Raises
        ------
        NotReplayableError
            There is no service to compute it, or the policy packs nothing.
        """
        if self.policy.window != "compressed":
            raise NotReplayableError("the policy packs nothing, so no context of it holds latents")
        summary = self.summary(step, env)
        latents = 0 if summary is None else summary.latents
        return self._replayed(Decision(step, self.row_env(env), "leave-one-latent-out", latents=latents))

    def compressions(self, env: int = 0) -> Compressions:
        """Return an environment's committed compressions: their steps, their latents, what each latent looked at.

        Parameters
        ----------
        env
            Place among the stored environments.

        Raises
        ------
        NotCapturedError
            The policy packs nothing, or the capture was made before compressions were stored.
        """
        return compressions_of(self, self.row_env(env))

    def _replayed(self, decision: Decision) -> Float[np.ndarray, ...]:
        reason, maps = self.policy.why_whole, self.policy.whole_maps
        if reason is not None and (decision.kind == "leave-one-out" or not maps):
            offered = "only maps are replayed" if maps else "only decision rows are stored"
            raise NotReplayableError(f"{offered} of this capture: {reason}")
        if self._replayer is None:
            raise NotReplayableError(
                f"the checkpoint is needed for {decision.kind} of a step that is not stored, so a service: "
                f"attnscope.connect().job({self.job!r}).capture()"
            )
        return self._replayer.fetch(decision)

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
