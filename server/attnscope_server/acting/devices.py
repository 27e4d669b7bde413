"""The torch device of a settings entry, and whether torch computes on it. Importing this loads no torch."""

from __future__ import annotations


def choose_device(name: str) -> str:
    """Return the torch device of a settings entry; ``auto`` is the first GPU, else the CPU."""
    import torch  # noqa: PLC0415 - heavy; the service does not import it

    if name != "auto":
        return name
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def fault_of(name: str) -> str | None:
    """Return why torch does not compute on the device of a settings entry; None where it does."""
    import torch  # noqa: PLC0415 - heavy; the service does not import it

    try:
        torch.zeros(1, device=choose_device(name))
    # Torch's three ways to say that a device is unknown, not built in, or without tensors of its own.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None
