"""The refusal of observations that a policy was not made for: another count of numbers, or numbers that are not whole.

A preset that an operator lists may be any environment, so its observations are held against the policy as they come.
"""

from __future__ import annotations

from jaxtyping import Num
from torch import Tensor

from attnscope_model.errors import CaptureInvalidError


def refuse_other(observation: Num[Tensor, "env feature"], features: int, *, whole: bool = False) -> None:
    """Refuse observations of another size than the policy takes.

    Parameters
    ----------
    observation
        What the environments gave, flat.
    features
        Numbers of an observation that the policy takes.
    whole
        The policy takes whole numbers alone.

    Raises
    ------
    CaptureInvalidError
        They have another count of numbers, or numbers that are not whole.
    """
    got, real = observation.shape[1], observation.is_floating_point()
    if got != features or (whole and real):
        wanted = f"{features} whole" if whole else f"{features}"
        given = f"{got} real" if real else f"{got} whole"
        raise CaptureInvalidError(
            f"expected observations of {wanted} numbers, as the policy takes them; the environment gives {given} ones"
        )
