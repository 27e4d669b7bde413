"""The report of a capture: every figure, the text, and one page that works from a mail."""

from attnscope.report.report import write_report

__all__ = ["write_report"]
