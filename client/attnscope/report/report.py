"""Every figure, the text and the page of a capture, in one folder under the guide's names."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from attnscope.capture import Capture
from attnscope.errors import NotCapturedError
from attnscope.figures.comprehensive import comprehensive
from attnscope.figures.decision_rows import decision_rows
from attnscope.figures.decisions.kept import kept_by_tokens
from attnscope.figures.decisions.ladder import ladder
from attnscope.figures.heatmap import heatmaps
from attnscope.figures.latents import latents
from attnscope.figures.layer_head import layer_head
from attnscope.figures.screens.guide import guide
from attnscope.figures.screens.map import screen_map
from attnscope.figures.screens.packing import departure_by_compression
from attnscope.figures.similarity import similarity
from attnscope.figures.style import pixels, save
from attnscope.figures.timeline import timeline
from attnscope.figures.trials.cost_curves import cost_curves
from attnscope.figures.trials.learning import learning
from attnscope.measures import NotMeasurableError
from attnscope.recommendations import Advice, recommend_from
from attnscope.recommendations.advice import lead_beside
from attnscope.recommendations.beside import Beside
from attnscope.recommendations.text import lead_lines
from attnscope.report.findings import findings_text
from attnscope.report.page import page
from attnscope.screens.packing import packed_arms
from attnscope.study import Choice, Study, study
from attnscope.study.latents import holds_compressions

FIGURES: dict[str, Callable[[Study], Figure]] = {
    "attention_analysis_comprehensive": comprehensive,
    "layer_head_analysis": layer_head,
    "learning_phases": learning,
    "transition_timeline": timeline,
    "head_similarity": similarity,
    "cost_curves": cost_curves,
}
"""By file name, the guide's two first."""

PACKED: dict[str, Callable[[Study], Figure]] = {"what_latents_hold": latents}
"""Figures of a policy that packs its history, by file name."""

BESIDE = {
    "decision_ladder": "The ladder: each judged arm at its looks",
    "decision_kept_by_tokens": "What is kept of the gain against tokens",
    "screen_map": "Departures by rule and budget",
    "screen_guide": "Which ages the policy looks at, and which ages its actions depend on",
    "screen_departure_by_compression": "Departures after each compression",
}
"""Titles of the figures of a decision or a screen beside a capture."""

CAPTIONS = {
    "attention_analysis_comprehensive": "Comprehensive analysis",
    "layer_head_analysis": "Layers and heads",
    "learning_phases": "Learning in context, and attention early and late",
    "transition_timeline": "Past events kept in view",
    "head_similarity": "Heads that do the same",
    "cost_curves": "What keeping fewer tokens costs each head",
    "what_latents_hold": "What latents hold",
}


def figures_of(capture: Capture) -> dict[str, Callable[[Study], Figure]]:
    """Return the figures of a capture, by file name: those of latents where compressions are stored."""
    return FIGURES | (PACKED if holds_compressions(capture) else {})


def write_report(
    capture: Capture,
    out: Path,
    choice: Choice | None = None,
    *,
    form: str = "png",
    tell: Callable[[Path], None] = lambda _path: None,
    beside: Beside | None = None,
    page_bytes: int | None = None,
) -> list[Path]:
    """Write the report of a capture, also of a running one, and return the files.

    Parameters
    ----------
    capture
        Finished, running or downloaded.
    out
        Folder, made where it does not exist.
    choice
        Evaluation length, environments, number of heatmaps, whether everything is read.
    form
        Of the figures: png, svg or pdf.
    tell
        Called with each file when it is written; the first is a heatmap.
    beside
        A decision and a screen of the same policy: they lead the recommendations, and their figures are drawn.
    page_bytes
        Bytes of decision rows that the page may hold; None takes 12 MiB, of a large capture 3 MiB.

    Returns
    -------
    list of Path
        The files that were written, the first heatmap first.
    """
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def keep(path: Path) -> None:
        written.append(path)
        tell(path)

    asked = choice or Choice()
    places = asked.envs or range(len(capture.row_envs() or (0,)))
    place = next((env for env in places if capture.exact_place(env) is not None), places[0])
    steps = [] if capture.exact_place(place) is None else heatmap_steps(capture, asked)
    for step, figure in zip(steps, heatmaps(capture, steps, env=place), strict=True):
        keep(save(figure, out / f"attention_heatmap_step{step}.{form}"))
    read = study(capture, asked)
    if not steps and read.reading.plan is not None and capture.has_exact_rows(place):
        step = int(read.reading.row_step[-1])
        keep(save(decision_rows(capture, step, env=place), out / f"attention_decision_step{step}.{form}"))
    shown: dict[str, bytes] = {}
    for name, draw in figures_of(capture).items():
        figure = draw(read)
        path = save(figure, out / f"{name}.{form}")
        keep(path)
        shown[CAPTIONS[name]] = small_png(figure, path)
    for name, figure in beside_figures(beside or Beside()):
        path = save(figure, out / f"{name}.{form}")
        keep(path)
        shown[BESIDE[name]] = small_png(figure, path)
    advice = advise(read, beside)
    text = recommendations(read, advice, beside)
    keep(_write(out / "compression_recommendations.txt", text))
    if not isinstance(advice, str):
        keep(_write(out / "compression_recommendations.json", advice.json()))
    keep(_write(out / "report.html", page(read, steps, shown, advice, beside, page_bytes)))
    return written


def heatmap_steps(capture: Capture, asked: Choice) -> list[int]:
    """Return this many of the sampled steps, evenly spaced, with the last one."""
    sampled = [step for step in capture.map_steps() if asked.steps is None or step < asked.steps]
    if len(sampled) <= asked.heatmaps:
        return sampled if asked.heatmaps else []
    places = np.linspace(len(sampled) - 1, 0, asked.heatmaps).round().astype(int)
    return [sampled[int(place)] for place in sorted(set(places.tolist()))]


def beside_figures(beside: Beside) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a decision and a screen beside a capture, by file name."""
    if beside.decision is not None and beside.decision.rungs:
        yield "decision_ladder", ladder(beside.decision)
        yield "decision_kept_by_tokens", kept_by_tokens(beside.decision)
    if beside.screen is not None:
        yield "screen_map", screen_map(beside.screen)
        if beside.screen.bands:
            yield "screen_guide", guide(beside.screen)
        if packed_arms(beside.screen):
            yield "screen_departure_by_compression", departure_by_compression(beside.screen)


def advise(read: Study, beside: Beside | None = None) -> Advice | str:
    """Return the advice that follows from a study and from the results beside it, or the reason that there is none."""
    try:
        return recommend_from(read, beside=beside)
    except (NotCapturedError, NotMeasurableError) as error:
        return str(error)


def recommendations(read: Study, advice: Advice | str, beside: Beside | None = None) -> str:
    """Return the text about compression and about attention."""
    if not isinstance(advice, str):
        return f"{advice.text.rstrip()}\n\n{findings_text(read)}"
    lead = "\n".join(lead_lines(lead_beside(read, beside or Beside())))
    if beside is not None and beside.answered:
        return f"{lead}\nNo recommendation by attention: {advice}.\n\n{findings_text(read)}"
    return f"No recommendation: {advice}.\n\n{lead}\n{findings_text(read)}"


def small_png(figure: Figure, path: Path) -> bytes:
    """Return a PNG of half the size in 256 colours, of the file at `path` where it is a PNG, else of the figure."""
    small = io.BytesIO()
    whole = Image.open(path) if path.suffix == ".png" else Image.fromarray(pixels(figure))
    with whole:
        half = whole.convert("RGB").reduce(2)
    half.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(small, "PNG")
    return small.getvalue()


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
