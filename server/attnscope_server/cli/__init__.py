"""The operator's program ``attnscope-server``; verbs of the data root and of training lie in these rooms."""

from attnscope_server.cli.app import app, main

__all__ = ["app", "main"]
