"""Foreign bytes become plain values and raw tensors in a child process; no policy is built and no entry is kept here.

Nothing that a file names is imported or called: `machine` interprets pickles, `rebuilding` says what their names mean.
"""
