"""The client's view of screens."""

from __future__ import annotations

from attnscope.kinds.view import View, register

VIEW = register(
    View(
        kind="screen",
        stored="attnscope.screens.screen:Screen",
        opened_by="attnscope.open_screen",
        summary="attnscope.cli.verbs.screens:show_screen",
        report="attnscope.cli.verbs.screens:report_screen",
        page="attnscope.page.opened:screen_on_page",
    )
)
"""Reads, summarises and reports screens."""
