"""Ground truth for tests: policies and captures whose dependence on the past was planted. No fixture lives here."""

from planted.captures import large_checkpoint, write_large_capture
from planted.policy import Planted, planted_policy, write_planted, write_random

__all__ = ["Planted", "large_checkpoint", "planted_policy", "write_large_capture", "write_planted", "write_random"]
