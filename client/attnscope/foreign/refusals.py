"""Why a foreign file is not read, and the shapes that are."""

from __future__ import annotations

from typing import Final

from attnscope_storage.errors import AttnscopeError

WANTED: Final = (
    "wanted: rows [step, env, layer, head, slot] or [step, layer, head, slot], the attention of the deciding query, "
    "and lengths [step, env] or [step], the tokens of each context"
)
"""The shapes of `import_arrays`, as every refusal of arrays says them."""

WANTED_FILES: Final = (
    "attnscope import reads an .npz or a torch file of named arrays, an .npy file or one tensor of rows, and the "
    f"reference's attention_history.pkl; {WANTED}"
)
"""The files of ``attnscope import``, as every refusal of a file's kind says them."""


class ForeignFileError(AttnscopeError, ValueError):
    """The file is not what it should be: lists of arrays of attention weights."""
