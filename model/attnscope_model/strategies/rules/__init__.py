"""The selection rules, one file each: a file placed here is listed, recommended and tried.

No other file names it, so the room may grow long. Plans, views and registries of rules lie one room up.
"""
