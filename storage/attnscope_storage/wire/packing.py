"""The rhythm of a policy that packs its history: its compressions and their sizes, from its description alone."""

from __future__ import annotations

from dataclasses import dataclass

from attnscope_storage.wire.policies import RecordedPolicy


@dataclass(frozen=True)
class Rhythm:
    """The compressions of a rollout in the policy's own evaluation."""

    first: int
    """Transitions before the first compression."""
    every: int
    """Transitions from one compression to the next."""
    first_sources: int
    """Tokens that the first compression packs."""
    sources: int
    """Tokens and latents that each later one packs."""

    @property
    def most_sources(self) -> int:
        """Tokens and latents that a compression packs at most."""
        return max(self.first_sources, self.sources)

    def compressions(self, steps: int) -> int:
        """Return how many compressions there are in the first steps of a rollout; one belongs to the step before it."""
        return 0 if steps < self.first else 1 + (steps - self.first) // self.every

    def step(self, compression: int) -> int:
        """Return the step after which a compression takes place; the first one is number 0."""
        return self.first - 1 + compression * self.every


def rhythm_of(policy: RecordedPolicy) -> Rhythm | None:
    """Return when a policy packs its history; None of one that packs nothing."""
    if not (policy.latents and policy.packed_at):
        return None
    per, by = policy.tokens_per_transition, policy.packed_by
    if by is not None:
        return Rhythm(by.first, by.every, by.first * per, by.latents + by.every * per)
    first = -(-policy.packed_at // per)
    every = max(1, -(-(policy.packed_at - policy.latents) // per))
    return Rhythm(first, every, first * per, policy.latents + every * per)
