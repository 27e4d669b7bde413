"""One thing that doctor or verification looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    part: str
    ok: bool
    said: str
    remedy: str | None = None
    """The remedy; None where nothing has to be done."""

    def __str__(self) -> str:
        remedy = "" if self.remedy is None else f"\n         → {self.remedy}"
        return f"{'ok     ' if self.ok else 'PROBLEM'}  {self.part}: {self.said}{remedy}"


def good(part: str, said: str, remedy: str | None = None) -> Finding:
    """Return that something is as it should be."""
    return Finding(part, ok=True, said=said, remedy=remedy)


def bad(part: str, said: str, remedy: str) -> Finding:
    """Return that something is wrong, and what to do."""
    return Finding(part, ok=False, said=said, remedy=remedy)
