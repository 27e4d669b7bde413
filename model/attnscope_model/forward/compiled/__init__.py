"""Everything that numba compiles for a CPU: attention, statistics, whole layers.

Knows arrays of NumPy only. The glue to tensors, and the choice of a way, lie one folder up.
"""
