"""Arrays of a capture or trial, remote or downloaded: an index is fetched in slices, maps or whole files.

Draws nothing and measures nothing.
"""
