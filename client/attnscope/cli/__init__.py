"""The laptop's command line: ``attnscope``."""

from attnscope.cli.main import main

__all__ = ["main"]
