"""A figure that is shown many times while little of it changes: its constant part is drawn once."""

from __future__ import annotations

from typing import Any

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg

from attnscope.figures.look import Picture


class Sheet(Picture):
    """A figure whose constant part is drawn once for each resolution, and its `changing` artists each time.

    An artist that changes after the first picture must be among them. Vector formats draw the whole figure each time.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - Figure's own
        super().__init__(**options)
        self.changing: list[Artist] = []
        self._still: tuple[float, FigureCanvasAgg, Any] | None = None

    def drawn(self) -> FigureCanvasAgg:
        """Return a canvas that shows the figure as it is now, at its resolution."""
        if self._still is None or self._still[0] != self.dpi:
            self._still = (self.dpi, *self._draw_still())
        _, canvas, background = self._still
        canvas.restore_region(background)  # type: ignore[no-untyped-call]  # matplotlib leaves it without types
        renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]  # as above
        for artist in sorted(self.changing, key=lambda artist: artist.get_zorder()):
            artist.draw(renderer)
        return canvas

    def _draw_still(self) -> tuple[FigureCanvasAgg, Any]:
        canvas = FigureCanvasAgg(self)
        for artist in self.changing:
            artist.set_animated(True)  # which leaves it out of what the canvas draws
        canvas.draw()  # type: ignore[no-untyped-call]  # as above
        for artist in self.changing:
            artist.set_animated(False)
        return canvas, canvas.copy_from_bbox(self.bbox)  # type: ignore[no-untyped-call]  # as above
