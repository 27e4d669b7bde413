"""The environments themselves, single and array-stepped: Darkroom, permuted actions, key-to-door, bandits.

Knows no checkpoint family and no split of tasks.
"""
