"""`python -m benchmarks.calibration [--repetitions N] [--only TABLE]`: errors and power of every plan, for the docs."""

from __future__ import annotations

import argparse
import time

from benchmarks.calibration import tables
from benchmarks.calibration.seed_tables import training_seeds

TABLES = {
    "false": tables.false_verdicts,
    "ladders": lambda n: tables.ladders(n // 2),
    "intervals": lambda n: tables.intervals(n // 4),
    "power": lambda n: tables.power(n // 5),
    "gates": lambda n: tables.gates(n // 4),
    "ranks": lambda n: tables.ranks(n // 10),
    "whole": lambda n: tables.whole(n // 20),
    "others": lambda n: tables.others(n // 200),
    "seeds": lambda n: training_seeds(n // 10),
}
"""Every table, with the repetitions that it gets of those asked for."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=40_000, help="simulated tests a row of the first table")
    parser.add_argument("--only", action="append", choices=tuple(TABLES), help="only these tables; repeat for several")
    asked, began = parser.parse_args(), time.process_time()
    print(f"{asked.repetitions} repetitions")
    for name, print_table in TABLES.items():
        if not asked.only or name in asked.only:
            print_table(asked.repetitions)
    print(f"\n{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
