"""The array of the numbers that a policy's head gives, the same in captures and screens."""

from __future__ import annotations

from attnscope_storage.layout.store_schema import Axis
from attnscope_storage.wire.outputs import OutputDescription


def head_array(output: OutputDescription, actions: int, beside: str = "") -> tuple[str, Axis, dict[str, object]]:
    """Return name, last axis and attributes of the array of a head's numbers.

    Parameters
    ----------
    output
        The meaning of the numbers.
    actions
        As a policy's description counts them.
    beside
        Words before the meaning.
    """
    attributes: dict[str, object] = {"long_name": f"{beside}{output.meaning}"}
    if output.branches:
        attributes["branches"] = list(output.branches)
    axis: Axis = ("output" if output.continuous else "action", output.numbers(actions))
    return output.array, axis, attributes
