"""Peak memory of a capture against its length: a fresh process a run, VmHWM as the kernel counts it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from attnscope_model.native import load_policy
from attnscope_model.registry import CheckpointRegistry
from attnscope_server.capture import CaptureOrder, run_capture
from attnscope_server.resolve import resolve
from attnscope_storage.wire import CaptureSpec


def peak_kib() -> int:
    """Return this process's peak resident memory, in KiB (Linux)."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def capture(steps: int) -> int:
    """Capture `steps` steps of the shipped policy; return the peak."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        registry = CheckpointRegistry(Path(folder) / "checkpoints")
        info = registry.add_shipped()[0]
        spec = CaptureSpec(checkpoint=info.id, tasks={"goals": [(5, 4)]}, steps=steps)
        resolved = resolve(spec, registry)
        path = Path(folder) / "captures" / "memory.zarr"
        policy = load_policy(registry.folder(info.id), torch.device("cpu"))
        run_capture(
            CaptureOrder("memory", "bench", spec, resolved, path, durable=False), policy, info, torch.device("cpu")
        )
    return peak_kib()


def main() -> None:
    """Print the peaks of a short and a long capture, and their ratio."""
    peaks = {}
    for steps in (2_000, 20_000):
        command = [sys.executable, "-m", "benchmarks.memory", str(steps)]
        peaks[steps] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{steps:>7} steps: peak {peaks[steps] / 1024:.1f} MiB")
    print(f"ratio {peaks[20_000] / peaks[2_000]:.3f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(capture(int(sys.argv[1])))
    else:
        main()
