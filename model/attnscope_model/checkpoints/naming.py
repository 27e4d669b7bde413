"""Names of checkpoints: by id, name, former name or prefix, and a free name for a new entry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attnscope_model.errors import CheckpointAmbiguousError, CheckpointNameError, CheckpointUnknownError
from attnscope_storage.wire import CheckpointInfo

MIN_ID_PREFIX: Final = 6
"""Characters of an id that may stand for it."""

MIN_NAME_PREFIX: Final = 2
"""Characters of a name that may stand for it."""


FILE: Final = re.compile(r"/|\.(pt|pth|ckpt|safetensors|pkl|bin)$")
"""Part of a text that is rather a file's path than a checkpoint's name."""

FILE_HINT: Final = " (a file is registered first, beside the service: attnscope-server checkpoint add FILE --name NAME)"


def named(every: Sequence[CheckpointInfo], name: str) -> CheckpointInfo:
    """Return the checkpoint of this id or name, of this former name, or of this prefix if only one fits.

    Raises
    ------
    CheckpointUnknownError, CheckpointAmbiguousError
        None fits, or several do.
    """
    exact = [info for info in every if name in {info.id, info.name}]
    former = [info for info in every if name in info.former_names]
    fitting = exact or former or [info for info in every if _fits(info, name)]
    if not fitting:
        known = ", ".join(info.name for info in every) or "none"
        first = FILE_HINT if FILE.search(name) else ""
        raise CheckpointUnknownError(f"no checkpoint {name!r} is registered{first}; registered are: {known}")
    if len(fitting) > 1:
        several = ", ".join(f"{info.name} ({info.id[:12]})" for info in fitting)
        raise CheckpointAmbiguousError(f"{name!r} fits several checkpoints: {several}")
    return fitting[0]


def free_name(info: CheckpointInfo, every: Sequence[CheckpointInfo], *, stated: bool) -> str:
    """Return the entry's name, or a longer one where another checkpoint has it by default.

    Raises
    ------
    CheckpointNameError
        The name was stated, and another checkpoint has it or had it.
    """
    others = [other for other in every if other.id != info.id]
    taken = {name for other in others for name in (other.name, *other.former_names)}
    if info.name not in taken:
        return info.name
    if stated and (former := next((other for other in others if info.name in other.former_names), None)):
        raise CheckpointNameError(
            f"{info.name!r} is a former name of {former.name!r}, which jobs may still use: choose another name"
        )
    if stated:
        raise CheckpointNameError(f"another checkpoint is called {info.name!r}: choose another name or remove it")
    mask = "causal" if info.policy.causal else "noncausal"
    return next(
        name
        for name in (f"{info.name}+{mask}", f"{info.name}+{info.id[:8]}", f"{info.name}+{info.id}")
        if name not in taken
    )


def _fits(info: CheckpointInfo, name: str) -> bool:
    by_id = len(name) >= MIN_ID_PREFIX and info.id.startswith(name)
    return by_id or (len(name) >= MIN_NAME_PREFIX and info.name.startswith(name))
