"""The ways to see a capture from Python: figures, a report, a screen, the live page in a notebook's cell.

Each is drawn in a room that reads captures, so each is found by its import path when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnscope.connecting.transport import Transport
from attnscope.errors import NotReplayableError
from attnscope_storage.wire.contract import imported

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnscope.screens.screen import Screen


class Shown:
    """A capture that can be looked at; `Capture` is the only one."""

    _transport: Transport | None = None
    """Connection of a remote capture."""

    def heatmap(self, step: int, *, env: int = 0, log: bool = False) -> Figure:
        """Return the figure of the maps of a step, a panel a layer and head; a notebook shows it.

        Parameters
        ----------
        step
            Any committed step; offline, one of `map_steps`.
        env
            Place among the stored environments.
        log
            Logarithmic colours.
        """
        figure: Figure = imported("attnscope.figures.heatmap:heatmap")(self, step, env=env, log=log)
        return figure

    def report(self, folder: str | Path = "report") -> list[Path]:
        """Write every figure, the text and the offline page into a folder; return the files.

        Parameters
        ----------
        folder
            Made where it does not exist.

        Returns
        -------
        list of Path
            The files that were written.
        """
        files: list[Path] = imported("attnscope.report:write_report")(self, Path(folder))
        return files

    def screen(self) -> Screen:
        """Return the newest screen of this capture; where there is none, the service makes one, which takes minutes.

        Raises
        ------
        NotReplayableError
            There is no service, which alone can run the policy.
        """
        if self._transport is None:
            raise NotReplayableError("a screen runs the policy, so it needs a service; this capture was downloaded")
        screen: Screen = imported("attnscope.recommendations.beside:screen_of")(self._transport, self)
        return screen

    def look(self, *, env: int = 0, step: int | None = None, height: int = 720) -> Any:  # noqa: ANN401 - a widget, whose class needs anywidget
        """Return the live page as a widget for a notebook's cell; needs the extra ``notebook``.

        Parameters
        ----------
        env
            Place among the stored environments that is shown first.
        step
            The step that is shown first; None shows the last one.
        height
            Pixels of the cell's output; the page scrolls within.

        Raises
        ------
        MissingPackageError
            anywidget is not installed.
        """
        return imported("attnscope.page.widget:look")(self, self._transport, env=env, step=step, height=height)
