"""`python -m benchmarks`: print every ratio that docs/benchmarks.md quotes."""

from pathlib import Path

from benchmarks import memory, replay, rollout

rollout.main(Path(__file__).resolve().parents[1] / "docs" / "benchmarks.json")
memory.main()
replay.main()
