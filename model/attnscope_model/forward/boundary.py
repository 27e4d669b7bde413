"""The boundary to policies that are not ours: what they are given and what they hand out is copied.

A forward that adds its positions in place (``tokens += positions``) would write into the stored context. One that
hands out the same buffer at every call, as captured graphs do, would change logits that were taken before. Neither
shows: the numbers are wrong, and nothing fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from torch import Tensor

from attnscope_model.forward.policy import Policy

CROSSINGS: Final = ("embed_transition", "embed_query", "stamp", "forward", "place", "read")
"""Methods by which tensors cross, as far as a policy has them; the last two are those of a `StackedPolicy`."""


def own_tensors(policy: Policy) -> Policy:
    """Return a policy each of whose crossings takes copies of tensors, and hands out copies.

    Parameters
    ----------
    policy
        Of an installed package; it is changed in place.
    """
    for name in CROSSINGS:
        if (method := getattr(policy, name, None)) is not None:
            setattr(policy, name, _copying(method))
    return policy


def _copying(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def copied(*values: Any, **named: Any) -> Any:  # noqa: ANN401 - as the method takes them
        result = method(*map(_copy, values), **{name: _copy(value) for name, value in named.items()})
        return _copy(result)

    return copied


def _copy(value: Any) -> Any:  # noqa: ANN401 - a tensor, or anything else as it is
    return value.clone() if isinstance(value, Tensor) else value
