"""The arrays of one group of a store as attributes."""

from __future__ import annotations

from attnscope.errors import AbsentArrayError, NotCapturedError
from attnscope.fetching.lazy import LazyArray
from attnscope.fetching.stored import Stored
from attnscope.notebook import described, table


class ArrayGroup:
    """The arrays of one group as attributes: ``capture.stats.entropy``."""

    def __init__(self, capture: Stored, group: str) -> None:
        self._capture = capture
        self._group = group

    def __getattr__(self, name: str) -> LazyArray:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._capture[f"{self._group}/{name}"]
        except NotCapturedError as error:
            raise AbsentArrayError(error.message) from error

    def __repr__(self) -> str:
        return f"<{self._group}: {', '.join(dir(self))}>"

    def _repr_html_(self) -> str:
        return table(self._group, described({name: getattr(self, name) for name in dir(self)}))

    def __dir__(self) -> list[str]:
        prefix = f"{self._group}/"
        return [name.removeprefix(prefix) for name in self._capture.names() if name.startswith(prefix)]
