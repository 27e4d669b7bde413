"""Drawing a capture against the reference's way, and the bytes that a default report transfers."""

from benchmarks.report import run

__all__ = ["run"]
