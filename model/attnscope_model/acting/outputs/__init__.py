"""The numbers of a policy's head: the action that follows from them, and the distance of two heads at one decision.

One file a kind. Contexts, forwards and what is stored are elsewhere.
"""

from attnscope_model.acting.outputs.base import DepartureUndefinedError, Output
from attnscope_model.acting.outputs.branches import Branches
from attnscope_model.acting.outputs.choice import Choice
from attnscope_model.acting.outputs.gaussian import Gaussian
from attnscope_model.acting.outputs.vector import ActionVector
from attnscope_storage.wire import PolicyDescription

__all__ = ["ActionVector", "Branches", "Choice", "DepartureUndefinedError", "Gaussian", "Output", "output_of"]


def output_of(policy: PolicyDescription) -> Output:
    """Return the meaning of a policy's head.

    Examples
    --------
    >>> output_of(policy).departure(full, other).shape  # doctest: +SKIP
    torch.Size([8])
    """
    output, actions = policy.output, policy.actions
    if output.kind == "gaussian":
        return Gaussian(actions, squashed=output.squashed)
    if output.kind == "vector":
        return ActionVector(actions, output.scale)
    return Branches(output.branches) if output.branches else Choice(actions)
