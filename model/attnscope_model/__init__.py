"""Policies, checkpoint readers, attention capture and, later, strategies and training."""
