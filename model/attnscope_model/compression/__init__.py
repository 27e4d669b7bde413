"""Contexts that act compressed: a strategy chooses or builds their tokens, a position policy says where these stand.

`deciding.CompressedDecider` is for compressed contexts what `attnscope_model.acting.deciding.Decider` is for plain
ones. Several compressions of the same policy act side by side and share their forwards. `setup` says, without torch,
what a compression is and which policies it fits.
"""

from attnscope_model.compression.setup import Compression, default_positions, unfit

__all__ = ["Compression", "default_positions", "unfit"]
