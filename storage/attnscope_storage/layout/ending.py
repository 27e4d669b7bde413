"""The end of zarr's event loop at the end of a program: in order, and without a traceback that means nothing.

zarr gives its loop 0.2 s to stop, and then closes it although it runs, which raises on a busy machine. What a program
abandoned there by Ctrl-C would be told as well, task by task.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Final

from zarr.core import sync

SECONDS: Final = 5.0
"""Seconds for the loop to let its tasks go, and again for it to stop."""


async def _let_go() -> None:
    """Cancel what still runs on this loop, and wait until it has ended."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def end_loop() -> None:
    """Stop zarr's loop and wait for its thread; one that does not stop dies with the program, unclosed."""
    loop, thread = sync.loop[0], sync.iothread[0]
    if loop is None or thread is None:
        return
    if thread.is_alive():
        with suppress(TimeoutError, CancelledError):
            asyncio.run_coroutine_threadsafe(_let_go(), loop).result(SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
    if thread.is_alive():
        sync.loop[0] = sync.iothread[0] = None
