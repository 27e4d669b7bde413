"""The client's view of trials."""

from __future__ import annotations

from attnscope.kinds.view import View, register

VIEW = register(
    View(
        kind="trial",
        stored="attnscope.trials.trial:Trial",
        opened_by="attnscope.open_trial",
        summary="attnscope.cli.boards:show_board",
        report="attnscope.cli.verbs.reports:report_trial",
    )
)
"""Reads, summarises and reports trials."""
