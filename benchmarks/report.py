"""Drawing a capture against the reference's way: the same maps, the same figures, one run, one thread.

The reference's way, re-created from its description: a pickle of every whole map; heatmaps of each layer and head at
20 steps; then loops over steps, layers and heads of whole maps for the decision row, recent and distant mass, positions
for 80 and 90 %, and entropy. Ours draws from the capture that the very maps of that pickle come from.
"""

from __future__ import annotations

import pickle  # noqa: TID251 - the baseline reads its own file, written in this run
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt

import attnscope
from attnscope.connection import Connection
from attnscope.figures.comprehensive import comprehensive
from attnscope.figures.heatmap import heatmap
from attnscope.figures.layer_head import layer_head
from attnscope.figures.style import save
from attnscope.report import write_report
from attnscope.report.findings import findings_text
from attnscope.report.report import heatmap_steps
from attnscope.service import Service
from attnscope.study import Choice, study
from attnscope.transport import Answer, Transport
from attnscope_model.native import load_policy
from attnscope_model.registry import CheckpointRegistry
from attnscope_server.capture import CaptureOrder, run_capture
from attnscope_server.resolve import resolve
from attnscope_server.serving import serve_background
from attnscope_server.settings import Settings
from attnscope_storage.wire import CaptureSpec

STEPS, REMOTE_STEPS = 1000, 10_000
HEATMAPS = 20
RECENT = 20


def capture_both(folder: Path, steps: int) -> Path:
    """Write a capture with a map of every step, and the same maps as the reference keeps them: a pickle."""
    registry = CheckpointRegistry(folder / "checkpoints")
    info = registry.add_shipped()[0]
    maps = {"steps": tuple(range(steps))}
    spec = CaptureSpec(checkpoint=info.id, tasks={"goals": [(5, 4)]}, steps=steps, maps=maps)
    policy = load_policy(registry.folder(info.id), torch.device("cpu"))
    path = folder / "capture.zarr"
    order = CaptureOrder("00000000-0000-4000-8000-000000000000", "bench", spec, resolve(spec, registry), path)
    run_capture(order, policy, info, torch.device("cpu"))
    capture = attnscope.open(path)
    history = [[layer[None].astype(np.float32) for layer in capture.map(step)] for step in range(steps)]
    with (folder / "attention_history.pkl").open("wb") as file:
        pickle.dump(history, file)
    return path


def reference_report(folder: Path, out: Path) -> None:
    """Draw as the reference does."""
    out.mkdir()
    with (folder / "attention_history.pkl").open("rb") as file:
        history = pickle.load(file)  # noqa: S301 - written by this very run
    for step in np.linspace(0, len(history) - 1, HEATMAPS, dtype=int):
        layers, heads = len(history[step]), history[step][0].shape[1]
        figure, grid = plt.subplots(layers, heads, figsize=(4 * heads, 4 * layers), squeeze=False)
        for layer in range(layers):
            for head in range(heads):
                axes = grid[layer, head]
                image = axes.imshow(history[step][layer][0, head], cmap="viridis", aspect="auto")
                axes.set(title=f"layer {layer}, head {head}", xlabel="Key Position", ylabel="Query Position")
                figure.colorbar(image, ax=axes)
        figure.tight_layout()
        figure.savefig(out / f"attention_heatmap_step{step}.png", dpi=150)
        plt.close(figure)
    _reference_analysis(history, out)


def _reference_analysis(history: list[list[np.ndarray]], out: Path) -> None:
    longest = max(step[0].shape[-1] for step in history)
    layers, heads = len(history[0]), history[0][0].shape[1]
    image = np.zeros((len(history), longest))
    recent, distant, needed = [], [], []
    entropy, peak = np.zeros((layers, heads)), np.zeros((layers, heads))
    for number, step in enumerate(history):
        row = np.mean([layer[0, :, -1, :].mean(axis=0) for layer in step], axis=0)
        image[number, : len(row)] = row
        recent.append(row[-RECENT:].sum())
        distant.append(row[:-RECENT].sum())
        cumulative = np.cumsum(np.sort(row)[::-1])
        needed.append([int((cumulative < share).sum()) + 1 for share in (0.8, 0.9)])
        for layer in range(layers):
            for head in range(heads):
                weights = step[layer][0, head]
                entropy[layer, head] += -(weights * np.log(weights + 1e-10)).sum()
                peak[layer, head] += weights.max(axis=-1).mean()
    figure, grid = plt.subplots(3, 2, figsize=(16, 18))
    shown = grid[0, 0].imshow(image.T, aspect="auto", cmap="viridis", origin="lower")
    figure.colorbar(shown, ax=grid[0, 0])
    grid[0, 1].plot(recent, label="recent")
    grid[0, 1].plot(distant, label="distant")
    grid[1, 0].plot([step[0].shape[-1] for step in history])
    grid[1, 1].plot(image[-1])
    grid[2, 0].plot(np.cumsum(np.sort(image.mean(axis=0))[::-1]))
    grid[2, 1].plot(np.array(needed))
    figure.tight_layout()
    figure.savefig(out / "attention_analysis_comprehensive.png", dpi=150)
    plt.close(figure)
    figure, pair = plt.subplots(1, 2, figsize=(14, 5))
    for axes, values in zip(pair, (entropy, peak), strict=True):
        figure.colorbar(axes.imshow(values / len(history), cmap="viridis"), ax=axes)
    figure.tight_layout()
    figure.savefig(out / "layer_head_analysis.png", dpi=150)
    plt.close(figure)
    text = f"recent {np.mean(recent):.3f}, positions for 80/90 %: {np.mean(needed, axis=0)}\n"
    (out / "compression_recommendations.txt").write_text(text)


def same_figures(path: Path, out: Path) -> None:
    """Draw the reference's figures our way: as many heatmaps, the two analyses."""
    capture = attnscope.open(path)
    for step in heatmap_steps(capture, Choice(heatmaps=HEATMAPS)):
        save(heatmap(capture, step), out / f"attention_heatmap_step{step}.png", dpi=150)
    read = study(capture)
    save(comprehensive(read), out / "attention_analysis_comprehensive.png", dpi=150)
    save(layer_head(read), out / "layer_head_analysis.png", dpi=150)
    (out / "compression_recommendations.txt").write_text(findings_text(read))


def seconds(run: Callable[..., object], *arguments: object) -> float:
    """Return the CPU time of a run, which other work on the machine disturbs less than the wall's."""
    begin = time.process_time()
    run(*arguments)
    return time.process_time() - begin


def transferred(folder: Path, steps: int, envs: int) -> tuple[int, int]:
    """Return the bytes that a default report of a remote capture transfers, and the bytes of all its rows.

    A real service on loopback; every byte of every answer is counted where the client reads it.
    """
    root = folder / "data"
    settings = Settings(data_root=root, port=0, announce=False, threads=1, durable=False)
    count = 0

    class Counted(Transport):
        """Counts."""

        def request(self, *arguments: object, **options: object) -> Answer:
            nonlocal count
            answer = super().request(*arguments, **options)
            count += len(answer.body)
            return answer

    with serve_background(settings) as running:
        connection = Connection(running.url, running.key, "the benchmark")
        with Service(Counted(connection)) as service:
            spec = CaptureSpec(checkpoint=service.checkpoints()[0].id, tasks={"split": "test"}, steps=steps)
            capture = service.submit(spec).wait().capture()
            assert capture.rows.shape[1] == envs
            count = 0
            write_report(capture, folder / "remote")
            return count, capture.rows.dtype.itemsize * int(np.prod(capture.rows.shape))


def run(*, quick: bool) -> dict[str, Any]:
    """Print times, ratios and bytes of one run."""
    torch.set_num_threads(1)
    mpl.use("agg")
    steps, remote_steps = (200, 0) if quick else (STEPS, REMOTE_STEPS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = capture_both(folder, steps)
        theirs = seconds(reference_report, folder, folder / "reference")
        same = seconds(same_figures, path, folder / "same")
        whole = seconds(write_report, attnscope.open(path), folder / "report")
        size = (folder / "attention_history.pkl").stat().st_size
    results: dict[str, Any] = {"steps": steps, "reference": theirs, "same_figures": same, "report": whole}
    print(f"   {steps} steps, one environment, the shipped policy; CPU seconds, one thread, one run")
    print(f"   reference's way, {HEATMAPS} heatmaps, from a pickle of {size / 1e9:.2f} GB: {theirs:.1f} s")
    print(f"   the same figures, as many heatmaps: {same:.1f} s, ratio {theirs / same:.1f}")
    print(f"   attnscope report, 5 heatmaps and all else: {whole:.1f} s, ratio {theirs / whole:.1f}")
    if remote_steps:
        with tempfile.TemporaryDirectory() as name:
            count, rows = transferred(Path(name), remote_steps, 8)
        results |= {"bytes": count, "row_bytes": rows}
        print(f"   default report of {remote_steps} steps × 8: {count} bytes, {count / rows:.2%} of the rows'")
    return results


if __name__ == "__main__":
    run(quick="--quick" in sys.argv)
