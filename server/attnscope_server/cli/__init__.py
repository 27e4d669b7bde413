"""The operator's program ``attnscope-server``; verbs of the data root and of training lie in these rooms."""

import gc

_collected = gc.isenabled()
gc.disable()  # what is imported stays: to look for garbage among it takes a tenth of the start

from attnscope_server.cli.app import app, main  # noqa: E402 - see above

if _collected:
    gc.freeze()
    gc.enable()

__all__ = ["app", "main"]
