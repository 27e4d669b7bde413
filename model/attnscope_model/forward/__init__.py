"""One forward pass: attention, layers, the stack, caches and kernels, and the description of a policy.

Knows no environment, no file and no family.
"""
