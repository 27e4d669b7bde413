"""Reading of a store: a reader, a Zarr store and cached chunks that show what is committed, and nothing else.

Nothing here writes, and nothing here knows what an array means.
"""
