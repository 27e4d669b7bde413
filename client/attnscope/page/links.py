"""Files that lead a browser to a link, so that its code stands in no command line, which every user could read."""

from __future__ import annotations

import secrets
import threading
from html import escape
from pathlib import Path
from typing import Final

from attnscope.page.entry import CODE_SECONDS
from attnscope.page.running import write_private

REDIRECT: Final = (
    '<!doctype html><meta charset="utf-8"><title>attnscope</title><meta http-equiv="refresh" content="0;url={link}">'
)
"""A page that leads to a link at once."""


class LinkFiles:
    """Files that only their owner reads; each is deleted when its code is too old, at the latest at the end.

    Parameters
    ----------
    folder
        Where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._timers: dict[Path, threading.Timer] = {}

    def write(self, link: str) -> Path:
        """Write a file that leads to a link."""
        path = self._folder / f"open-{secrets.token_hex(8)}.html"
        write_private(path, REDIRECT.format(link=escape(link)))
        timer = threading.Timer(CODE_SECONDS, path.unlink, kwargs={"missing_ok": True})
        timer.daemon = True
        timer.start()
        self._timers[path] = timer
        return path

    def delete(self) -> None:
        """Delete all that are left."""
        for path, timer in self._timers.items():
            timer.cancel()
            path.unlink(missing_ok=True)
