"""The following of a run folder: new checkpoints in the order of their steps, each once, also after a kill."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attnscope_model.errors import CaptureInvalidError, CheckpointUnreadableError
from attnscope_server.following.found import Found, checkpoints_of
from attnscope_server.following.screening import Watched, screen_checkpoint
from attnscope_server.training.logging import RunLog
from attnscope_storage.errors import AttnscopeError
from attnscope_storage.writing.lock import CaptureLock

WATCH: Final = "attnscope-watch"
"""Folder of a run that a watch writes to."""

LOG: Final = "log.jsonl"
"""A line a screened checkpoint; a checkpoint without a line is screened anew."""


class WatchChangedError(AttnscopeError, ValueError):
    """The run was watched with other options: its numbers would not be comparable."""


class Follower:
    """Follows one run folder.

    Parameters
    ----------
    run
        Folder that checkpoints are written to.
    asked
        Options; a run is watched with the same ones throughout.
    tensorboard
        Also write TensorBoard events.
    tell
        Takes a sentence about each checkpoint.
    stopped
        Asked while a checkpoint is captured and screened.

    Raises
    ------
    WatchChangedError
        A checkpoint of the run was screened with other options.
    WatchUnfitError, StrategyError
        No checkpoint could be screened with these options.
    TensorBoardMissingError
        Events are asked for, and TensorBoard is not installed.
    """

    def __init__(
        self,
        run: Path,
        asked: Watched,
        *,
        tensorboard: bool = True,
        tell: Callable[[str], None] = lambda _sentence: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._run, self._asked, self._tell, self._stopped = run, asked, tell, stopped
        self.folder = run / WATCH
        self.folder.mkdir(exist_ok=True)
        self.screened = set(steps_of(self.folder / LOG))
        """Steps whose numbers are in the log."""
        asked.refuse_unfit()
        self._refuse_other_options()
        last = max(self.screened, default=0)
        self._log = RunLog(self.folder / LOG, last, self.folder / "tensorboard" if tensorboard else None)
        self._unreadable: dict[int, tuple[int, int]] = {}

    def look(self) -> int:
        """Screen the checkpoints that are new and whole, and return how many these were.

        One that cannot be read may still be being written: it is tried again once it has changed.
        """
        new = [one for one in checkpoints_of(self._run) if one.step not in self.screened]
        return sum(self._take(one) for one in new)

    def _take(self, found: Found) -> bool:
        stamp = found.stamp
        if self._unreadable.get(found.step) == stamp:
            return False
        folder = self.folder / f"step-{found.step}"
        try:
            values = screen_checkpoint(found, folder, self._name(found.step), self._asked, self._stopped)
        except (CheckpointUnreadableError, CaptureInvalidError) as error:  # half written, or diverged
            self._unreadable[found.step] = stamp
            why = "read" if isinstance(error, CheckpointUnreadableError) else "screened"
            self._tell(f"{found.path.name} cannot be {why} yet, it is tried again when it changes: {error.message}")
            return False
        self._log.write(found.step, values)
        self.screened.add(found.step)
        late = values.get("return/late")
        self._tell(f"step {found.step}: late return {late:.2f}" if late is not None else f"step {found.step}")
        return True

    def _name(self, step: int) -> str:
        """Return the name of a checkpoint: the run's folder, as far as names may hold it, and the step."""
        known = re.sub(r"[^A-Za-z0-9._+-]+", "-", self._run.resolve().name).lstrip("-._+")
        return f"{known[:60] or 'run'}@{step}"

    def _refuse_other_options(self) -> None:
        """Refuse other options than those of the screened checkpoints; before any is, they may be named anew."""
        path, now = self.folder / "options.json", json.dumps(vars(self._asked), sort_keys=True, indent=1)
        if not (path.exists() and self.screened):
            fresh = path.with_name(f".{path.name}")
            fresh.write_text(now, encoding="utf-8")
            fresh.replace(path)
        elif path.read_text(encoding="utf-8") != now:
            raise WatchChangedError(f"{self.folder} was made with other options; name them again, or remove the folder")


@contextmanager
def following(run: Path, asked: Watched, **options: object) -> Iterator[Follower]:
    """Give the follower of a run, which no other process follows meanwhile."""
    (run / WATCH).mkdir(exist_ok=True)
    lock = CaptureLock(run / WATCH / "watch")
    try:
        yield Follower(run, asked, **options)  # type: ignore[arg-type]  # those of the follower
    finally:
        lock.release()


def steps_of(log: Path) -> Iterator[int]:
    """Yield the steps of the log's whole lines."""
    if not log.exists():
        return
    for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield int(json.loads(line)["step"])
