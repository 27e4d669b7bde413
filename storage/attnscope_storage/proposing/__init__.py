"""Proposing: from a screen's arrays, which arms may race, and which arms are the same. No file is read here."""

from attnscope_storage.proposing.doubts import Doubts, doubts_of
from attnscope_storage.proposing.votes import (
    BASELINES,
    FIRST,
    Votes,
    by_votes,
    distinct,
    first_listed,
    first_of_each,
    least_departing,
    least_of,
    rollout_means,
    votes_of,
)

__all__ = [
    "BASELINES",
    "FIRST",
    "Doubts",
    "Votes",
    "by_votes",
    "distinct",
    "doubts_of",
    "first_listed",
    "first_of_each",
    "least_departing",
    "least_of",
    "rollout_means",
    "votes_of",
]
