"""Ratios measured side by side in one run: `make bench`, or `python -m benchmarks [suite …] [--quick]`.

A suite is one file in `benchmarks/suites/`: a docstring whose first line is its title, and ``run(*, quick: bool)``,
which prints its table and returns the dictionary that is kept in ``docs/benchmarks/<suite>.json``.
"""
