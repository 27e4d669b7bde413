"""Proposing: from a screen's arrays, which arms may race, and which arms are the same. No file is read here."""

from attnscope_storage.proposing.votes import (
    BASELINES,
    FIRST,
    Votes,
    distinct,
    first_listed,
    first_of_each,
    least_departing,
    rollout_means,
    votes_of,
)

__all__ = [
    "BASELINES",
    "FIRST",
    "Votes",
    "distinct",
    "first_listed",
    "first_of_each",
    "least_departing",
    "rollout_means",
    "votes_of",
]
