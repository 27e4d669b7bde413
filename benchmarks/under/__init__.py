"""The study of training under a compression: what it recovers of a frozen policy's loss. No other study's tables."""
