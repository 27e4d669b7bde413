"""An environment of POPGym (Morad et al., 2023), which is an extra, with a source of its histories; no preset.

Only making an environment imports POPGym: answers and returns are known without it.
"""
