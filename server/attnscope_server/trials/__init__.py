"""Trials: a frozen policy acting under compression, beside itself uncompressed."""
