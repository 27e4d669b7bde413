"""`make gallery`: capture the shipped policy and draw every figure for docs/gallery.md."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

import attnscope
from attnscope.comparison.drawing import measures_figure, multiples
from attnscope.demo import CHECKPOINT
from attnscope.figures.decision_rows import decision_rows
from attnscope.figures.heatmap import heatmap
from attnscope.figures.style import save
from attnscope.report.report import CAPTIONS, FIGURES, PACKED, small_png, write_report
from attnscope.report.screen import BY_AGE
from attnscope.report.screen import FIGURES as OF_SCREENS
from attnscope.screens.results import ScreenResults
from attnscope.study import Choice, study
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.resolving import resolve
from attnscope_server.screening.stored import StoredHistories
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec
from benchmarks.learned.subjects import CAD, STEPS, Trainee

DOCS = Path(__file__).resolve().parents[1] / "docs"
IMAGES = DOCS / "images" / "gallery"
LARGEST = 250_000
"""Bytes of a picture, at most."""

SEEDS, EPISODES = 10, 20
PACKED_EPISODES = 12
SCREEN_SEEDS = (100, 101, 102, 103)
TASKS = (2, 0, 1, 3, 4, 5, 6, 7)
"""Places in the test split; the heatmaps are of the first, goal (6, 8), which is not found by chance."""

WORDS = {
    "attention_heatmap": "Attention maps of one step, a panel a layer and head; the last row decides.",
    "attention_decision": "The decision rows of one step, for steps without a whole map.",
    "attention_analysis_comprehensive": "Attention over time, by slot and by transition; recent against distant; "
    "context length; attention by relative position; how few positions hold 80 and 90 %, at each step or fixed.",
    "layer_head_analysis": "Spread, peak, sink and recency of each head, from the stored statistics.",
    "learning_phases": "Returns, and attention by age in the first and last third of the episodes.",
    "transition_timeline": "Attention to each transition while the window slides over it; rewards and episode starts.",
    "head_similarity": "Jensen–Shannon divergence between heads; groups are framed.",
    "cost_curves": "Attention lost when each head, all heads together, or recency choose what is kept.",
    "comparison_measures": "Two captures of the shipped policy, first and last half of the held-out goals.",
    "comparison_multiples": "The same two, on shared scales.",
    "screen_map": "A screen of 8 train tasks × 4 seeds: departures of an episode, of each rule at each budget.",
    "screen_departure_by_tokens": "The same screen: departure against tokens kept, for each way to stand.",
    "screen_departure_by_age": "Departures without bands of ages, single transitions and whole episodes.",
    "screen_guide": "Attention, leave-one-out and departure on one axis of ages; where attention misleads.",
    "what_latents_hold": "The newest latents of a policy that packs its history (CAD of the learned-compression "
    "study): what their compression looked at, how decisions use them, and which transitions they hold through all "
    "generations.",
    "report_page": "The report's page, one file that works offline.",
}


def capture(folder: Path) -> Path:
    """Capture the shipped policy on the held-out goals."""
    torch.set_num_threads(1)
    registry = CheckpointRegistry(folder / "checkpoints")
    registry.add_shipped()
    info = registry.get(CHECKPOINT)
    spec = CaptureSpec(
        checkpoint=info.id,
        tasks={"split": "test", "indices": TASKS},
        seeds=tuple(range(SEEDS)),
        episodes=EPISODES,
        rows={"every": 1},
    )
    path = folder / "gallery.zarr"
    policy = load_policy(registry.folder(info.id), torch.device("cpu"))
    order = CaptureOrder("00000000-0000-4000-8000-000000000000", "docs", spec, resolve(spec, registry), path)
    run_capture(order, policy, info, torch.device("cpu"))
    return path


def screened(folder: Path) -> ScreenResults:
    """Capture the shipped policy on train goals and screen it, parts by age among the rest."""
    registry = CheckpointRegistry(folder / "screened")
    registry.add_shipped()
    info = registry.get(CHECKPOINT)
    policy = load_policy(registry.folder(info.id), torch.device("cpu"))
    tasks = {"split": "train", "indices": tuple(range(8))}
    asked = {"checkpoint": info.id, "tasks": tasks, "seeds": SCREEN_SEEDS, "episodes": EPISODES, "maps": {"count": 0}}
    spec, path = CaptureSpec.model_validate(asked), folder / "screened.zarr"
    order = CaptureOrder("00000000-0000-4000-8000-000000000001", "docs", spec, resolve(spec, registry), path)
    run_capture(order, policy, info, torch.device("cpu"))
    held = CaptureReader.open(path)
    found = attnscope.screen(policy, StoredHistories(held, held.steps_committed, rows=True), ages=True)
    return replace(found, name=info.name)


def packed(folder: Path) -> Path:
    """Capture a policy that packs its history, on held-out goals past four compressions."""
    registry = CheckpointRegistry(folder / "packing")
    info = Trainee(CAD, 0, STEPS).add(folder / "runs", registry)
    tasks = {"split": "test", "indices": tuple(range(8))}
    asked = {"checkpoint": info.id, "tasks": tasks, "episodes": PACKED_EPISODES, "maps": {"count": 0}}
    spec, path = CaptureSpec.model_validate(asked), folder / "packed.zarr"
    order = CaptureOrder("00000000-0000-4000-8000-000000000002", "docs", spec, resolve(spec, registry), path)
    run_capture(order, load_policy(registry.folder(info.id), torch.device("cpu")), info, torch.device("cpu"))
    return path


def draw(path: Path, folder: Path) -> list[str]:
    """Draw every figure; return their names in the order of the page."""
    held = attnscope.open(path)
    read = study(held)
    last = held.map_steps()[-1]
    drawn = {"attention_heatmap": heatmap(held, last), "attention_decision": decision_rows(held, last)}
    drawn |= {name: figure(read) for name, figure in FIGURES.items()}
    half = len(read.envs) // 2
    halves = [study(held, Choice(envs=tuple(part))) for part in (range(half), range(half, 2 * half))]
    names = ["first half of the goals", "last half of the goals"]
    drawn["comparison_measures"], drawn["comparison_multiples"] = (
        measures_figure(halves, names),
        multiples(halves, names),
    )
    found = screened(folder)
    drawn |= {name: figure(found) for name, figure in (OF_SCREENS | BY_AGE).items()}
    with_latents = study(attnscope.open(packed(folder)))
    drawn |= {name: figure(with_latents) for name, figure in PACKED.items()}
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        (IMAGES / f"{name}.png").write_bytes(small_png(figure, save(figure, folder / f"{name}.png")))
    return list(drawn)


def screenshot(path: Path, folder: Path) -> bool:
    """Write a picture of the report's page, where there is a Chromium."""
    program = shutil.which("chromium")
    if program is None:
        return False
    one = folder / "one"
    write_report(attnscope.open(path), one, Choice(envs=(0,)))
    target = folder / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
    flags += [f"--user-data-dir={folder / 'profile'}", "--window-size=1200,1150", "--virtual-time-budget=5000"]
    command = [program, *flags, f"--screenshot={target}", (one / "report.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True)
    (IMAGES / "report_page.png").write_bytes(quantised(target))
    return True


def quantised(picture: Path | io.BytesIO) -> bytes:
    """Return a picture as a PNG of 256 colours."""
    out = io.BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Write the pictures and the page that shows them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else capture(folder)
        held = attnscope.open(path)
        names = draw(path, folder)
        names += ["report_page"] if screenshot(path, folder) else []
        about = (
            f"{held.resolved.checkpoint_name}, {len(held.resolved.tasks)} held-out tasks × {SEEDS} seeds, "
            f"{held.resolved.steps} steps"
        )
    lines = [
        "# Gallery",
        "",
        f"Made by `make gallery` from the shipped policy ({about}); pictures only, in half the resolution of the files",
        "that `attnscope report` and `attnscope compare` write.",
        "",
    ]
    for entry in names:
        size = (IMAGES / f"{entry}.png").stat().st_size
        assert size <= LARGEST, f"{entry}.png has {size} bytes"
        title = CAPTIONS.get(entry, entry.replace("_", " ").capitalize())
        lines += [f"## {title}", "", WORDS[entry], "", f"![{title}](images/gallery/{entry}.png)", ""]
    (DOCS / "gallery.md").write_text("\n".join(lines), encoding="utf-8")
    print(f"wrote {len(names)} pictures")


if __name__ == "__main__":
    main()
