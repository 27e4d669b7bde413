"""The page: one file, no network, every text of the capture escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import zlib
from importlib.resources import files
from string import Template
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, UInt8

from attnscope.errors import MapNotSampledError
from attnscope.figures.heatmap import drawn_map, stored
from attnscope.figures.provenance import task_label
from attnscope.figures.trials.learning import bounds
from attnscope.reading.plan import PICTURE_BYTES, stratified
from attnscope.report.findings import findings
from attnscope.report.uniformity import uniformity
from attnscope.study import Study
from attnscope.study.captions import caption_of_study

ROW_STEPS = 160
"""Steps of decision rows on the page."""

NO_ROWS = "Decision rows were not captured."
NO_MAPS = "No whole map was sampled."


def part(name: str) -> str:
    """Return a file that pages are made of."""
    return files("attnscope.report").joinpath(name).read_text("utf-8")


def styled(page: str) -> str:
    """Return the style of a page: what all have in common, and its own."""
    return part("base.css") + part(f"{page}.css")


def page(study: Study, steps: list[int], figures: dict[str, bytes], recommendations: str, env: int = 0) -> str:
    """Return the page.

    Parameters
    ----------
    steps
        Steps whose whole maps are shown.
    figures
        PNG by title.
    recommendations
        A text.
    env
        Place among the study's environments.
    """
    capture = study.capture
    content = payload(study, steps, env)
    style, script = styled("page"), part("page.js")
    warned = uniformity(study).sentences()
    sentences = [sentence for sentence in findings(study) if sentence not in warned]
    fields = {
        "title": f"Attention of {capture.resolved.checkpoint_name}",
        "state": f"{capture.steps_committed} of {capture.resolved.steps} steps, {capture.origin.condition}",
        "provenance": caption_of_study(study),
        "env": task_label(capture, int(study.envs[env])),
        "row_count": "no" if content["rows"] is None else str(len(content["rows"]["steps"])),
        "no_maps": "" if content["maps"] else NO_MAPS,
        "recommendations": recommendations,
    }
    made = {
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "warnings": "".join(f'<p class="warning">{html.escape(sentence)}</p>' for sentence in warned),
        "findings": "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences),
        "step_disabled": "" if content["maps"] else " disabled",
        "map": _canvas("map", "Attention map: queries down, keys across", 600, 600) + KEYS
        if content["maps"]
        else f"<p>{NO_MAPS}</p>",
        "time": (_canvas("time", "Decision rows over time", 1100, 240) if content["rows"] else f"<p>{NO_ROWS}</p>")
        + (_canvas("returns", "Return of each episode", 1100, 110) if content["returns"] else ""),
        "figures": "".join(_figure(title, png) for title, png in figures.items()),
        "data": script_json(content),
    }
    template = Template(part("page.html"))
    return template.substitute({**{name: html.escape(text) for name, text in fields.items()}, **made})


KEYS = '<div class="axes"><span>key 0 →</span><span>queries run down, the last row decides</span></div>'


def payload(study: Study, steps: list[int], env: int) -> dict[str, Any]:
    """Return what the page draws from, as JSON."""
    capture = study.capture
    at = int(study.envs[env])
    reward = np.zeros(0) if study.reward is None else study.reward[:, env]
    ends = [] if study.episode is None else np.flatnonzero(np.diff(study.episode[:, env], append=-1)).tolist()
    returns = [] if study.returns is None else study.returns[env].tolist()
    return {
        "colours": base64.b64encode(_colours().tobytes()).decode(),
        "layers": stored(capture, "layer"),
        "heads": stored(capture, "head"),
        "steps": study.steps,
        "tokens": study.layout.tokens_per_transition,
        "queryLast": study.layout.query_slot == "last",
        "causal": bool(capture.policy.causal),
        "maps": [_map(study, step, env, at) for step in steps],
        "rows": _rows(study, env),
        "returns": returns[: len(ends)],
        "ends": ends,
        "optimal": bounds(study)[0],
        "rewards": np.flatnonzero(reward > 0).tolist(),
    }


def _map(study: Study, step: int, env: int, at: int) -> dict[str, Any]:
    capture, place = study.capture, study.place(env)
    shades, unit = drawn_map(capture, step, place)
    if shades.ndim != 4:  # noqa: PLR2004 - layer, head, query, slot
        raise MapNotSampledError(f"the map of step {step} has no layer and head axes")
    boundaries = (capture.episode_boundaries(step, place) / unit).tolist()
    start = int(capture.context.start[step, at])
    n = int(shades.shape[-1])
    found = {"step": step, "n": n, "unit": unit, "tokens": capture.length(step, place), "start": start}
    return {**found, "boundaries": boundaries, "data": _deflated(shades)}


def _rows(study: Study, env: int) -> dict[str, Any] | None:
    size = study.reading.size
    if study.reading.plan is None:
        return None
    entries = stratified(size.entries, max(2, min(ROW_STEPS, PICTURE_BYTES // (size.cells * size.slots))))
    steps = study.reading.row_step[entries]
    values = study.capture.rows.shades((entries.tolist(), study.place(env), ..., slice(0, size.slots)))
    starts = study.reading.start[steps, env]
    return {
        "steps": steps.tolist(),
        "slots": int(values.shape[-1]),
        "lengths": study.length[steps, env].tolist(),
        "starts": starts.tolist(),
        "data": _deflated(values),
    }


def _deflated(values: UInt8[np.ndarray, ...]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()


def _colours() -> UInt8[np.ndarray, "256 3"]:
    shades: Float[np.ndarray, "256 4"] = mpl.colormaps["viridis"](np.arange(256))
    return np.asarray(np.rint(255 * shades[:, :3]), np.uint8)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _canvas(name: str, label: str, width: int, height: int) -> str:
    return (
        f'<canvas id="{name}" width="{width}" height="{height}" tabindex="0" role="img" aria-label="{label}"></canvas>'
    )


def _figure(title: str, png: bytes) -> str:
    source = base64.b64encode(png).decode()
    text = html.escape(title)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{source}"><figcaption>{text}</figcaption></figure>'


def script_json(content: object) -> str:
    """Return JSON that cannot end the script element it stands in, whatever its strings hold."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
