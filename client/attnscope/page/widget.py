"""The live page in a notebook's cell: the page's own modules, whose questions travel as messages to the kernel.

The widget's state holds scripts, style and a height: no key, no address, no path, no word of the capture.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from attnscope.capture import Capture
from attnscope.connecting.plain import plain, plain_values
from attnscope.connecting.transport import Transport
from attnscope.errors import MissingPackageError, RequestRefusedError
from attnscope.figures.decision_rows import decision_rows
from attnscope.page.answers import QUESTIONS
from attnscope.page.assets import STYLES, asset
from attnscope.page.bundling import bundled
from attnscope.page.evidence import Answers, Nothing, OfCapture
from attnscope.page.frames import Frame
from attnscope.page.subjects import Subject
from attnscope.page.views import row_steps
from attnscope.service import Service
from attnscope_storage.errors import AttnscopeError

try:
    import anywidget
    import traitlets

    cell: Any = import_module("IPython.display")
except ImportError as error:
    raise MissingPackageError("the widget needs anywidget: pip install 'attnscope[notebook]'") from error

LOWEST: Final = 200
"""Pixels of the widget, at least."""


class Look(anywidget.AnyWidget):
    """A capture in a cell. Its picture stays in the saved notebook, for readers without a kernel."""

    _esm = bundled("widget.js", exports=("render",))
    height = traitlets.Int(720).tag(sync=True)
    style_text = traitlets.Unicode("").tag(sync=True)
    view = traitlets.Dict({}).tag(sync=True)

    def __init__(self, subject: Subject, still: bytes | None, **traits: Any) -> None:  # noqa: ANN401 - values of traits
        super().__init__(style_text="".join(asset(path).decode() for path in STYLES), **traits)
        self._subject = subject
        self._still = still
        self.on_msg(self._hear)

    def _hear(self, _widget: object, content: Any, _buffers: object) -> None:  # noqa: ANN401 - a browser's message
        """Answer a question of the page; each of its messages has a number, which the answer repeats."""
        number = content.get("number") if isinstance(content, dict) else None
        if not isinstance(number, int):
            return
        answer, buffers = self.answer(content.get("question"), content.get("asked"))
        self.send({"number": number, **answer}, buffers=buffers)

    def answer(self, question: object, asked: object) -> tuple[dict[str, Any], list[bytes]]:
        """Return the answer to a question, with its weights apart, or the reason why there is none.

        Parameters
        ----------
        question
            A name among the questions of the page.
        asked
            Texts by name.
        """
        try:
            found = self._found(question, asked)
        except AttnscopeError as error:
            return {"refused": plain(error.message)}, []
        if isinstance(found, Frame):
            return {"answer": plain_values({**found.head, "shape": list(found.shades.shape)})}, [found.shades.tobytes()]
        return {"answer": plain_values(found)}, []

    def _found(self, question: object, asked: object) -> Any:  # noqa: ANN401 - an answer of any question
        name = str(question)
        if name not in QUESTIONS or not isinstance(asked, dict):
            raise RequestRefusedError(f"{name[:40]!r}: the page asks no such question")
        texts = {str(key): str(value) for key, value in asked.items()}
        if question == "news":
            texts = {}  # a kernel holds no question: the page asks again
        return QUESTIONS[name](self._subject, texts)

    def _ipython_display_(self, **_: object) -> None:
        """Show a picture, which a saved notebook keeps, and the page, which hides the picture while it runs."""
        if self._still is not None:
            cell.display({"image/png": self._still, "text/plain": repr(self)}, raw=True)
        shown, _ = self._repr_mimebundle_() or ({}, {})
        cell.display(shown, raw=True)

    def __repr__(self) -> str:
        return "<attnscope page: run this cell to see it>"


def look(
    capture: Capture, transport: Transport | None, *, env: int = 0, step: int | None = None, height: int = 720
) -> Look:
    """Return the live page of a capture as a widget.

    Parameters
    ----------
    transport
        Connection of a remote capture: its decision and its screen are looked up there. None for a downloaded one.
    env, step
        The view that is shown first; step None is the last one.
    height
        Pixels.
    """
    subject = Subject("widget", "capture", capture, None)
    beside = Nothing() if transport is None else OfCapture(Service(transport), lambda: capture)
    subject.answers = Answers(beside, lambda: capture)
    view = {"env": env, **({} if step is None else {"step": step})}
    return Look(subject, still_of(capture, env, step), height=max(LOWEST, height), view=view)


def still_of(capture: Capture, env: int, step: int | None) -> bytes | None:
    """Return the picture that a saved notebook keeps: the decision rows of a step; None where rows are not captured."""
    rows = row_steps(capture)
    if not len(rows) or capture.row_form == "bins":  # which no figure of one step draws
        return None
    at = rows[-1] if step is None else max((one for one in rows if one <= step), default=rows[0])
    figure: Any = decision_rows(capture, int(at), env=env)
    content: bytes = figure._repr_png_()
    return content
