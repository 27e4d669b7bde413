"""Opening of a job's store at the start of an attempt: continued from an earlier attempt's commits, or new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from jaxtyping import Shaped

from attnscope_model.forward.fused import LAYERS, NUMBA, implementation, prefer_fused
from attnscope_model.forward.policy import Policy
from attnscope_server.acting.axis import EnvAxis
from attnscope_server.acting.errors import NotReproducibleError
from attnscope_server.attempts.order import Order
from attnscope_server.kinds import ResolvedT
from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.layout.bucket import StorePath
from attnscope_storage.layout.store_schema import StoreSchema
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.writing.writer import CaptureWriter, Commit

Arrays = Mapping[str, Shaped[np.ndarray, "..."]]
"""Arrays by their names."""


@dataclass(frozen=True)
class Watching:
    """The functions that follow the writing of a store."""

    on_commit: Callable[[Commit], None] | None = None
    """Takes every commit."""
    at_stage: Callable[[str], None] | None = None
    """Takes the name of each stage of a commit, as tests do that end a worker there."""


def committed(path: StorePath) -> CaptureReader | None:
    """Return a reader of what an earlier attempt committed; None where there is nothing."""
    try:
        return CaptureReader.open(path)
    except CaptureNotFoundError:
        return None


def choose_attention(policy: Policy, device: torch.device, reader: CaptureReader | None, *, allowed: bool) -> None:
    """Take the faster attention where it fits; a job that is continued keeps the one that it began with.

    Raises
    ------
    NotReproducibleError
        The job began with an attention that this machine does not have.
    """
    began = None if reader is None else str(reader.attributes["provenance"]["attention_implementation"])
    attend_as(policy, device, began, allowed=allowed)


def attend_as(policy: Policy, device: torch.device, began: str | None, *, allowed: bool) -> None:
    """Take the attention that a job began with; where it begins now, the faster one where it fits.

    Raises
    ------
    NotReproducibleError
        The job began with an attention that this machine does not have.
    """
    if began is None:
        prefer_fused(policy, device, allowed=allowed)
        return
    prefer_fused(policy, device, allowed=began in {NUMBA, LAYERS}, whole=began == LAYERS)
    if implementation(policy) != began:
        raise NotReproducibleError(f"it began with {began}; here is only {implementation(policy)}")


def environments_of(order: Order[Any, ResolvedT]) -> Callable[[EnvAxis], VectorEnv[Any, Any, Any]]:
    """Return the function that makes the environments of an axis, in its order."""
    resolved = order.resolved
    chosen = order.listings.listing(resolved.environment_id).preset(resolved.environment_kwargs)
    return lambda axis: chosen.make_vector([chosen.task(int(index)) for index in axis.task])


def open_store(
    order: Order[Any, Any],
    reader: CaptureReader | None,
    schema: StoreSchema,
    new: Callable[[], tuple[dict[str, object], Arrays]],
    *,
    blocks: int,
    watching: Watching,
) -> CaptureWriter:
    """Return the writer of a job's store, which goes on from the last commit where there is one.

    Parameters
    ----------
    reader
        Earlier commits, as `committed` returns them.
    new
        Returns the root attributes and the arrays that do not grow; it is called only for a new store.
    blocks
        Blocks that the runner and the writer share.
    """
    options: dict[str, Any] = {"durable": order.durable, "blocks": blocks, "tenure": order.tenure, **vars(watching)}
    if reader is not None:
        return CaptureWriter.resume(order.path, schema, **options)
    attributes, static = new()
    return CaptureWriter.create(order.path, schema, attributes, static, **options)
