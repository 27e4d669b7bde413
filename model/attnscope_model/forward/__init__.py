"""One forward pass: attention, layers, the stack, caches and kernels, and what a policy is. Knows no environment and no file."""
