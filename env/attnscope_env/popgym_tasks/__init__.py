"""Tasks made of an environment of POPGym (Morad et al., 2023), which is an extra: adapter, preset, source of histories.

Only making an environment imports POPGym; presets, tasks and returns are known without it. Holds no room of our own.
"""
