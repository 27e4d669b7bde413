"""Writing of a store: one writer under a lock, blocks of steps, commits, and copies of what is committed.

The order of a commit is told in `commit.py`; nothing here knows what an array means.
"""
