"""The client's view of captures."""

from __future__ import annotations

from attnscope.kinds.view import View, register

VIEW = register(
    View(
        kind="capture",
        stored="attnscope.capture:Capture",
        opened_by="attnscope.open",
        summary="attnscope.cli.verbs.captures:summarise_capture",
        report="attnscope.cli.verbs.reports:report_capture",
        page="attnscope.page.opened:capture_on_page",
    )
)
"""Reads, summarises and reports captures."""
