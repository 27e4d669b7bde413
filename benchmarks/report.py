"""Drawing a capture against the reference's way: the same attention, the same figures, one run, one thread.

The reference's way, re-created from its description: a pickle of every whole map; heatmaps of each layer and head at
20 steps; then loops over steps, layers and heads of whole maps for the decision row, recent and distant mass, positions
for 80 and 90 %, and entropy. Ours draws from the capture of the very attention that is in that pickle.
"""

from __future__ import annotations

import importlib
import pickle  # noqa: TID251 - the baseline reads its own file, written in this run
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

import attnscope
from attnscope.connecting.connection import Connection
from attnscope.connecting.responses import Response
from attnscope.connecting.transport import Transport
from attnscope.figures.comprehensive import comprehensive
from attnscope.figures.heatmap import heatmap, heatmaps
from attnscope.figures.layer_head import layer_head
from attnscope.figures.style import save
from attnscope.report import write_report
from attnscope.report.findings import findings_text
from attnscope.report.report import heatmap_steps
from attnscope.service import Service
from attnscope.study import Choice, study
from benchmarks.timing import Cost, measured

planting: Any = importlib.import_module("tests.client.conftest")
"""The tests' planted captures and their service over HTTP: known attention costs no rollout to make."""

STEPS, REMOTE_STEPS = 4000, 10_000
"""Environment steps; the reference's own evaluation has 10,000 (16 GB of maps)."""
HEATMAPS = 20
RECENT = 20


def capture_both(folder: Path, steps: int, count: int) -> Path:
    """Write a planted capture (4 layers, 4 heads, 160 tokens) and its whole maps as the reference keeps them."""
    steps_drawn = tuple(int(step) for step in np.linspace(0, steps - 1, count, dtype=int))
    size = {"layers": 4, "heads": 4, "slots": 160, "flush": None}
    path: Path = planting.write_planted(folder / "capture.zarr", steps=steps, envs=1, map_steps=steps_drawn, **size)
    full = np.zeros((4, 4, 160, 160), np.float32)
    for query in range(160):
        full[..., query, : query + 1] = planting.planted_rows(query + 1, 4, 4, "recent")
    lengths = [min(step + 1, 160) for step in range(steps)]
    history = [[layer[None, :, :n, :n].copy() for layer in full] for n in lengths]
    with (folder / "attention_history.pkl").open("wb") as file:
        pickle.dump(history, file)
    return path


def reference_report(folder: Path, out: Path, count: int) -> None:
    """Draw as the reference does."""
    out.mkdir()
    with (folder / "attention_history.pkl").open("rb") as file:
        history = pickle.load(file)  # noqa: S301 - written by this very run
    for step in np.linspace(0, len(history) - 1, count, dtype=int):
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
    (out / "compression_recommendations.txt").write_text(text, encoding="utf-8")


def same_figures(path: Path, out: Path, count: int) -> None:
    """Draw the reference's figures our way: as many heatmaps, the two analyses, the text."""
    capture = attnscope.open(path)
    steps = heatmap_steps(capture, Choice(heatmaps=count))
    for step, figure in zip(steps, heatmaps(capture, steps), strict=True):
        save(figure, out / f"attention_heatmap_step{step}.png", dpi=150)
    read = study(capture)
    save(comprehensive(read), out / "attention_analysis_comprehensive.png", dpi=150)
    save(layer_head(read), out / "layer_head_analysis.png", dpi=150)
    (out / "compression_recommendations.txt").write_text(findings_text(read), encoding="utf-8")


def taken(run: Callable[..., object], *arguments: object) -> Cost:
    """Return what a run took."""
    with measured() as cost:
        run(*arguments)
    return cost


class Counted(Transport):
    """Counts the bytes of every answer."""

    received = 0

    def request(self, *arguments: Any, **options: Any) -> Response:  # noqa: ANN401 - whatever the transport takes
        """Ask, and count."""
        answer = super().request(*arguments, **options)
        self.received += len(answer.body)
        return answer


def transferred(folder: Path, steps: int, envs: int) -> dict[str, int]:
    """Return the bytes of a default report over HTTP on loopback, advice included, and those of all decision rows."""
    size = {"layers": 3, "heads": 4, "slots": 100}
    path = planting.write_planted(folder / "remote.zarr", steps=steps, envs=envs, flush=250, **size)
    with planting.FakeService(path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        counted = Counted(Connection(server.url, "right-key", "the benchmark"))
        capture = Service(counted).job("last").capture()
        heatmap(capture, steps - 1)  # a full context
        first, counted.received = counted.received, 0
        write_report(Service(counted).job("last").capture(), folder / "remote")
        rows = capture.rows.dtype.itemsize * int(np.prod(capture.rows.shape))
        server.shutdown()
    return {"first_picture": first, "report": counted.received, "rows": rows}


def run(*, quick: bool) -> dict[str, Any]:
    """Print times, ratios and bytes of one run."""
    mpl.use("agg")
    steps, count, remote_steps = (200, 5, 2000) if quick else (STEPS, HEATMAPS, REMOTE_STEPS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = capture_both(folder, steps, count)
        size = (folder / "attention_history.pkl").stat().st_size
        theirs = taken(reference_report, folder, folder / "reference", count)
        same = taken(same_figures, path, folder / "same", count)
        whole = taken(write_report, attnscope.open(path), folder / "report")
        moved = transferred(folder, remote_steps, 8)
    print(f"   {steps} steps, 1 environment, planted attention of 4 layers, 4 heads, 160 tokens; one run, processor s")
    print(f"   the reference's way, {count} heatmaps, from a pickle of {size / 1e9:.2f} GB: {theirs.cpu:.1f} s")
    for label, cost in (
        (f"the same figures, {count} heatmaps", same),
        (f"attnscope report, {min(5, count)} heatmaps and all else", whole),
    ):
        ratios = f"ratio {theirs.cpu / cost.cpu:.1f} by processor, {theirs.wall / cost.wall:.1f} by wall"
        print(f"   {label}: {cost.cpu:.1f} s, {ratios}")
    print(
        f"   default report of {remote_steps} steps × 8 over HTTP: {moved['report']} bytes, "
        f"{moved['report'] / moved['rows']:.2%} of the rows'; first picture {moved['first_picture']} bytes"
    )
    costs = {"reference": asdict(theirs), "same_figures": asdict(same), "report": asdict(whole)}
    return {"steps": steps, "heatmaps": count, **costs, "bytes": moved, "remote_steps": remote_steps}


if __name__ == "__main__":
    run(quick="--quick" in sys.argv)
