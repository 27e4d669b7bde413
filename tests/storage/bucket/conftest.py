"""The fixtures of buckets."""

from __future__ import annotations

from buckets import bucket_server, place

__all__ = ["bucket_server", "place"]
