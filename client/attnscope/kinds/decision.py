"""The client's view of decisions."""

from __future__ import annotations

from attnscope.kinds.view import View, register

VIEW = register(
    View(
        kind="decision",
        stored="attnscope.decisions.decision:Decision",
        opened_by="attnscope.open_decision",
        summary="attnscope.cli.verbs.decisions:show_decision",
        report="attnscope.cli.verbs.decisions:report_decision",
        page="attnscope.page.opened:decision_on_page",
    )
)
"""Reads, summarises and reports decisions."""
