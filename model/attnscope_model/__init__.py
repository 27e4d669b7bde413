"""Policies, checkpoint readers, attention capture, strategies and training."""
