"""The part of training that needs environments: histories to learn from, and evaluation of policies."""
