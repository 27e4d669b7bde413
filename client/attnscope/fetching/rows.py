"""The decision rows of a capture in whichever form they are stored, and the environments that have some."""

from __future__ import annotations

from typing import Literal

import numpy as np

from attnscope.errors import OutsideError
from attnscope.fetching.groups import ArrayGroup
from attnscope.fetching.lazy import LazyArray
from attnscope.fetching.spread import SpreadRows, refuse_damaged
from attnscope.fetching.stored import Stored


class CapturedRows(Stored):
    """A capture's decision rows, and what tells where they stand."""

    @property
    def context(self) -> ArrayGroup:
        """Context lengths and starts."""
        return ArrayGroup(self, "context")

    @property
    def steps_committed(self) -> int:
        """Steps that can be read."""
        return self._reader.steps_committed

    @property
    def rows(self) -> LazyArray | SpreadRows:
        """Decision rows, float16 [step, row_env, layer, head, slot]; NaN past the context.

        Of a capture that stores age bins, the rows that the bins say, and the stored ones of the environments that have
        some: see `attnscope.fetching.spread`.
        """
        return self._spread() if self.row_form == "bins" else self["attention/rows"]

    @property
    def row_form(self) -> Literal["f16", "u8", "bins", "none"]:
        """The form of the decision rows that are stored: weights, bytes, age bins, or none."""
        names = self.names()
        if "attention/bins" in names:
            return "bins"
        if "attention/rows" not in names:
            return "none"
        return "u8" if "encoding" in self["attention/rows"].attributes else "f16"

    def row_envs(self) -> list[int] | None:
        """Return the entries of the env axis whose rows are stored; None where they are all, or no row is."""
        held = [name for name in ("attention/bin_env", "attention/row_env") if name in self.names()]
        return [int(env) for env in self[held[0]][:]] if held else None

    def exact_place(self, env: int) -> int | None:
        """Return where whole rows and maps of a stored environment stand on their axis; None where it has none.

        Parameters
        ----------
        env
            Place among the stored environments.
        """
        if "attention/bin_env" not in self.names():
            return env
        held = self["attention/row_env"][:].tolist() if "attention/row_env" in self.names() else []
        return held.index(self.row_env(env)) if self.row_env(env) in held else None

    def has_exact_rows(self, env: int) -> bool:
        """Return whether the rows of a stored environment are stored slot by slot.

        Parameters
        ----------
        env
            Place among the stored environments.
        """
        return "attention/rows" in self.names() and self.exact_place(env) is not None

    def _spread(self) -> SpreadRows:
        bins, committed = self["attention/bins"], self.steps_committed
        made = self.__dict__.get("_spread_rows")
        if made is None or len(made) != len(bins):
            every = self["attention/row_step"][:] if "attention/row_step" in self.names() else np.arange(committed)
            edges = np.asarray(self["attention/bin_edge"][:], np.int64)
            envs = np.asarray(self["attention/bin_env"][:], np.int64)
            length = self.context.length[:]
            refuse_damaged(bins.shape, edges, envs, length.shape[1])
            whole = self["attention/rows"] if "attention/rows" in self.names() else None
            exact = [None if whole is None else self.exact_place(place) for place in range(len(envs))]
            made = SpreadRows(
                bins,
                edges,
                length,
                (np.asarray(every, np.int64), envs),
                exact=(whole, exact),
                query_first=self.policy.query_slot == "first",
            )
            self.__dict__["_spread_rows"] = made
        return made

    def row_env(self, env: int) -> int:
        """Return the entry of the env axis at a place among the stored environments.

        Parameters
        ----------
        env
            Place among the stored environments.

        Raises
        ------
        OutsideError
            Fewer environments are stored.
        """
        stored = self.row_envs()
        if stored is None:
            return env
        if not -len(stored) <= env < len(stored):
            raise OutsideError(f"env {env} is not stored; {len(stored)} environments are, counted from 0")
        return stored[env]
