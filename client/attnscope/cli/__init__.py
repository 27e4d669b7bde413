"""The program ``attnscope``: its options, tables and errors. The verbs themselves are in ``verbs``."""

from attnscope.cli.main import main

__all__ = ["main"]
