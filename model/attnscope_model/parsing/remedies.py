"""Refusals of a file's form, each with what its user can run where the file is trusted."""

from __future__ import annotations

from typing import Final

from attnscope_model.errors import CheckpointUnreadableError

RESAVE: Final = (
    "where you trust the file, open it with the code that wrote it and save plain weights: "
    "torch.save({'model': model.state_dict(), 'config': dict(config)}, 'plain.pt')"
)
"""For everything that only the code of the trainer can open."""

COPY_AGAIN: Final = "copy it again, and compare the two sizes with ls -l"
"""For a file that is not whole."""


def refuse(why: str, remedy: str = RESAVE) -> CheckpointUnreadableError:
    """Return a refusal: the reason, then what to do."""
    return CheckpointUnreadableError(f"{why}; {remedy}")
