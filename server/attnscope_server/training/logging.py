"""The records that a run writes about itself: a line of JSON a time, and TensorBoard events where they are wanted."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attnscope_storage.errors import AttnscopeError


class TensorBoardMissingError(AttnscopeError, ImportError):
    """TensorBoard is not installed."""


class RunLog:
    """The log of one run; what an interrupted run wrote beyond its saved state is taken out again.

    Parameters
    ----------
    path
        Of the JSON lines.
    step
        The step that the run goes on from.
    events
        Folder of TensorBoard events; None writes none.
    """

    def __init__(self, path: Path, step: int, events: Path | None = None) -> None:
        self._path = path
        kept = [line for line in _whole_lines(path) if json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._events: Any = None if events is None else _writer(events, step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add what was measured at a step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._events is not None:
            for name, value in values.items():
                self._events.add_scalar(name, value, step)
            self._events.flush()


def refuse_without_tensorboard() -> None:
    """Refuse to begin what is to be written as TensorBoard events, where TensorBoard is not installed.

    Raises
    ------
    TensorBoardMissingError
        It is not.
    """
    if find_spec("tensorboard") is None:
        raise TensorBoardMissingError("TensorBoard is not installed: pip install 'attnscope[train]'")


def _whole_lines(path: Path) -> list[str]:
    """Return the lines that were written to their end; an interruption may leave a part of the last."""
    written = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [line.rstrip("\n") for line in written if line.endswith("\n")]


def _writer(folder: Path, step: int) -> Any:  # noqa: ANN401 - an optional package's class
    refuse_without_tensorboard()
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional

    return SummaryWriter(str(folder), purge_step=step)
