"""Compressors of installed packages, made for the policy that they pack for."""

from __future__ import annotations

from attnscope_model.errors import CompressionUnfitError
from attnscope_model.forward.compressing import LearnedCompressor
from attnscope_model.forward.policy import Policy
from attnscope_model.strategies.compressors import installed_compressors


def made_compressor(name: str, policy: Policy) -> LearnedCompressor:
    """Return an installed compressor for a policy.

    Parameters
    ----------
    name
        Of the entry point.
    policy
        The policy whose tokens it packs; the package decides whether it was trained for this one.

    Raises
    ------
    CompressionUnfitError
        No such compressor is installed, it does not load, it refuses the policy, or it is none.
    """
    point = installed_compressors().get(name)
    if point is None:
        raise CompressionUnfitError(f"no compressor {name!r} is installed")
    try:
        made = point.load()(policy)
    except Exception as error:  # a foreign package may raise anything
        raise CompressionUnfitError(f"the installed compressor {name} ({point.value}) fails: {error}") from error
    if not isinstance(made, LearnedCompressor):
        raise CompressionUnfitError(f"the installed compressor {name} ({point.value}) makes no LearnedCompressor")
    return made
