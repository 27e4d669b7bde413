"""`python -m benchmarks.device_check`: everything that is to be seen of the device's rollout on a GPU, in one run.

Without a GPU it says so and ends with 2. `--rehearse` runs the comparisons on the CPU, which needs none. On a GPU:

- every array of a capture that stays on the device is, byte for byte, that of a capture that the host steps: greedy
  and sampled, the growing window and the sliding one, and again on a second GPU where there is one;
- no step waits for the device, by torch's own `set_sync_debug_mode("error")`;
- launches a step, and the time of its phases by CUDA's events;
- environment-steps a second of 64, 1,024 and 4,096 environments × rows, a subset, statistics × float32, tf32, bfloat16.

A check that fails is printed, the run goes on, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from attnscope_model.checkpoints.native import load_policy
from attnscope_server.capturing.device_rollout import DeviceRollout
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_storage.reading.reader import CaptureReader
from benchmarks.machine import describe
from benchmarks.subject import Subject, subject

COMPARED: Final[dict[str, tuple[bool, dict[str, Any]]]] = {
    "growing and sliding, sampled": (True, {"sampling": {"mode": "sample"}, "steps": 200}),
    "growing and sliding, greedy": (True, {"sampling": {"mode": "greedy"}, "steps": 200}),
    "not causal, sampled": (False, {"sampling": {"mode": "sample"}, "steps": 180}),
    "some rows and two maps": (
        True,
        {"steps": 170, "maps": {"steps": [30, 165]}, "rows": {"envs": [1], "every": 3, "layers": [1], "heads": [0, 2]}},
    ),
}
"""Captures that are compared: whether the policy is causal, and options of the specification."""

ENVS: Final = (64, 1024, 4096)
KEPT: Final[dict[str, dict[str, Any]]] = {
    "rows": {},
    "subset": {"rows": {"envs": list(range(8))}},
    "statistics": {"rows": {"enabled": False}},
}
PRECISIONS: Final = ("float32", "tf32", "bfloat16")
STEPS: Final = 320
"""Steps of a timed capture: 160 of them at a full window."""


def devices() -> list[torch.device]:
    """Return the GPUs that are checked: the first, and the second where there is one."""
    return [torch.device(f"cuda:{number}") for number in range(min(2, torch.cuda.device_count()))]


def captured(
    chosen: Subject,
    folder: Path,
    device: torch.device,
    *,
    on_device: bool,
    envs: int = 3,
    steps: int = STEPS,
    **options: Any,  # noqa: ANN401 - fields of the specification
) -> CaptureReader:
    """Capture, and return the reader."""
    spec = chosen.spec(envs, steps, **options)
    path = folder / f"{time.perf_counter_ns()}.zarr"
    order = CaptureOrder(
        path.stem, "check", spec, resolve(spec, chosen.registry), path, durable=False, on_device=on_device
    )
    run_capture(order, load_policy(chosen.registry.folder(chosen.info.id), device), chosen.info, device)
    return CaptureReader.open(path)


def differing(one: CaptureReader, other: CaptureReader) -> list[str]:
    """Return the names of arrays whose bytes differ."""
    return [name for name in one.names() if one.array(name)[:].tobytes() != other.array(name)[:].tobytes()]


def compare(folder: Path, device: torch.device) -> Iterator[tuple[str, str]]:
    """Yield each comparison with its fault, if any."""
    for name, (causal, options) in COMPARED.items():
        chosen = subject(folder, causal=causal)
        host = captured(chosen, folder, device, on_device=False, **options)
        there = captured(chosen, folder, device, on_device=True, **options)
        yield f"{device}: {name}", ", ".join(differing(host, there))


@contextmanager
def no_waits() -> Iterator[None]:
    """Let torch raise where the host waits for the device while a step is rolled out; commits may wait."""
    store = DeviceRollout._store  # noqa: SLF001 - the check looks inside on purpose

    def strict(self: DeviceRollout, *given: Any) -> None:  # noqa: ANN401 - as the method takes them
        store(self, *given)
        if given[1] >= 1:  # the first step makes tables and memory
            torch.cuda.set_sync_debug_mode("error")

    def loose(work: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any) -> Any:  # noqa: ANN401 - as the method takes them
            torch.cuda.set_sync_debug_mode("default")
            return work(*given)

        return called

    from attnscope_server.capturing.device_block import DeviceBlock  # noqa: PLC0415 - patched here alone

    send, delivered = DeviceBlock.send, DeviceBlock.delivered
    DeviceRollout._store = strict  # type: ignore[method-assign]  # noqa: SLF001
    DeviceBlock.send, DeviceBlock.delivered = loose(send), loose(delivered)  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
        DeviceRollout._store = store  # type: ignore[method-assign]  # noqa: SLF001
        DeviceBlock.send, DeviceBlock.delivered = send, delivered  # type: ignore[method-assign]


def waits(folder: Path, device: torch.device) -> str:
    """Return torch's word where a step waits for the device; nothing where none does."""
    chosen = subject(folder, causal=True)
    try:
        with no_waits():
            captured(chosen, folder, device, on_device=True, envs=64, steps=300, sampling={"mode": "sample"})
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def phases(folder: Path, device: torch.device) -> dict[str, Any]:
    """Return launches a step, and the microseconds of the device and of the host by operation, by torch's profiler."""
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415 - heavy

    chosen = subject(folder, causal=True)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        captured(chosen, folder, device, on_device=True, envs=64, steps=STEPS)
    events = seen.key_averages()
    launches = sum(event.count for event in events if event.key == "cudaLaunchKernel")
    slowest = sorted(events, key=lambda event: -event.self_device_time_total)[:12]
    return {
        "launches_per_step": launches / STEPS,
        "device_microseconds_per_step": {event.key: event.self_device_time_total / STEPS for event in slowest},
    }


def speeds(folder: Path, device: torch.device) -> Iterator[tuple[str, float]]:
    """Yield environment-steps a second, capture to disk included, after one run that warms up."""
    chosen = subject(folder, causal=True)
    captured(chosen, folder, device, on_device=True, envs=64, steps=40)
    for envs, (kept, options), dtype in itertools.product(ENVS, KEPT.items(), PRECISIONS):
        begun, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(device)
        began = time.perf_counter()
        begun.record(torch.cuda.current_stream(device))
        captured(chosen, folder, device, on_device=True, envs=envs, steps=STEPS, dtype=dtype, **options)
        ended.record(torch.cuda.current_stream(device))
        torch.cuda.synchronize(device)
        name = f"{envs} environments, {kept}, {dtype}, device {begun.elapsed_time(ended) / STEPS:.3f} ms a step"
        yield name, envs * STEPS / (time.perf_counter() - began)


def main() -> int:
    """Check, print, and return the exit status; 2 where there is no GPU and no rehearsal is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device_check", description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="only the comparisons, on the CPU")
    parser.add_argument("--out", type=Path, help="write the figures as JSON too")
    asked = parser.parse_args()
    if not asked.rehearse and not torch.cuda.is_available():
        print("no GPU: torch sees no CUDA device here, so nothing was checked; --rehearse compares on the CPU")
        return 2
    found: dict[str, Any] = {"machine": describe(), "failures": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for device in [torch.device("cpu")] if asked.rehearse else devices():
            for check, fault in compare(folder, device):
                told(found, check, fault)
        if not asked.rehearse:
            first = devices()[0]
            found["device"] = torch.cuda.get_device_name(first)
            told(found, "no step waits for the device", waits(folder, first))
            found["phases"] = phases(folder, first)
            print(json.dumps(found["phases"], indent=1))
            found["env_steps_per_second"] = {}
            for size, speed in speeds(folder, first):
                found["env_steps_per_second"][size] = round(speed)
                print(f"   {size}: {speed:,.0f} env-steps/s")
    if asked.out is not None:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if found["failures"] else 0


def told(found: dict[str, Any], check: str, fault: str) -> None:
    """Print a check, and keep its fault."""
    print(f"   {check}: {'ok' if not fault else f'FAILED: {fault}'}")
    if fault:
        found["failures"].append(f"{check}: {fault}")


if __name__ == "__main__":
    sys.exit(main())
