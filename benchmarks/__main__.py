"""`python -m benchmarks [suite …] [--quick]`: run suites, print their tables, keep their figures beside the docs."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks import registry
from benchmarks.machine import describe, load

KEPT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"of {', '.join(registry.names())}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and sizes; nothing is kept")
    asked = parser.parse_args()
    machine, began = describe(), time.perf_counter()
    print(f"{machine['processor']}, {machine['cores']} cores; load {load()}; Python {machine['python']}\n")
    for name in asked.suites or registry.names():
        suite, before, started = registry.suite(name), load(), time.perf_counter()
        print(f"== {name}: {registry.title(suite)}")
        results = suite.run(quick=asked.quick)
        kept = {
            "title": registry.title(suite),
            "command": f"python -m benchmarks {name}",
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": machine,
            "load_before_and_after": [before, load()],
            "seconds": round(time.perf_counter() - started, 1),
            "results": results,
        }
        if not asked.quick:
            KEPT.mkdir(exist_ok=True)
            (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        print(f"   {kept['seconds']} s, load {before} before and {load()} after\n")
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
