"""A small screen of a form's capture, judged as a worker judges it."""

from __future__ import annotations

from uuid import uuid4

import attnscope
from attnscope.screens.results import ScreenResults
from attnscope_env import LISTED
from attnscope_server.attempts.order import Order
from attnscope_server.capturing.resolving import resolve
from attnscope_server.kinds import Referred
from attnscope_server.screening.job import run_screen
from attnscope_server.screening.kind import KIND
from attnscope_storage.wire.specifications.screens import ScreenSpec
from reduced.captures import ASKED, CHECKPOINT, CPU, Captured


def screened(captured: Captured, form: str, rules: tuple[str, ...]) -> ScreenResults:
    """Return the results of a screen that judges these rules at half of the history, by age too."""
    asked = {"strategies": [{"name": name} for name in rules], "budgets": [0.5], "decisions": 64, "ages": True}
    spec = ScreenSpec.model_validate({"capture": captured.jobs[form], **asked})
    resolved = resolve(captured.specs[form], captured.registry)
    referred = Referred(captured.stores[form], captured.specs[form], resolved, ASKED["steps"])
    screen = KIND.resolve_on(spec, referred, captured.registry, LISTED)
    path = captured.path(form).with_name(f"{uuid4()}.zarr")
    order = Order("screen", "local", spec, screen, path, durable=False)
    run_screen(order, captured.policy, captured.registry.get(CHECKPOINT), CPU)
    return attnscope.open_screen(path).results()
