"""An order as it is meant on the actor's machine: what that machine lacks is brought there first."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from attnscope_server.running.messages import Run
from attnscope_server.running.on_ray.checkpoints import ENTRY, pieces
from attnscope_server.running.on_ray.wire import Begin, Prepared
from attnscope_storage.layout.places import address_of


class UnseenError(Exception):
    """The actor's machine does not see the folder of the stores."""


async def prepared(actor: Any, begin: Begin, order: Run) -> Run:  # noqa: ANN401 - Ray types no handles
    """Bring to an actor what it lacks; return the order as it is meant there: its lease began when it answered.

    Raises
    ------
    UnseenError
        The stores lie in a folder that the actor's machine does not see.
    """
    checkpoints = order.resolved.checkpoint_ids
    answer = await _asked(actor, checkpoints)
    if not answer.sees_root:
        if address_of(order.stores) is None:
            raise UnseenError(f"the machine of this slot does not see the folder {order.data_root}")
        folder = begin.data_root / "checkpoints"
        while answer.missing:  # once more where another actor made room of one, before this one held it
            for checkpoint in answer.missing:
                await _bring(actor, folder / checkpoint)
            answer = await _asked(actor, checkpoints)
        for checkpoint in checkpoints:
            entry = await asyncio.to_thread((folder / checkpoint / ENTRY).read_bytes)
            await actor.renew.remote(checkpoint, entry)
        answer = await _asked(actor, checkpoints)
    return order.model_copy(update={"data_root": answer.data_root, "asked_at": answer.clock})


async def _asked(actor: Any, checkpoints: tuple[str, ...]) -> Prepared:  # noqa: ANN401 - as above
    return Prepared.model_validate_json(await actor.prepare.remote(checkpoints))


async def _bring(actor: Any, folder: Path) -> None:  # noqa: ANN401 - as above
    files = pieces(folder)
    while (piece := await asyncio.to_thread(next, files, None)) is not None:
        await actor.store.remote(folder.name, *piece)
    await actor.stored.remote(folder.name)
