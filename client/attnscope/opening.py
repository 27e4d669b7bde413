"""Opening of downloaded stores, one function for each kind of job; each returns the object that a service gives too."""

from __future__ import annotations

from pathlib import Path

from attnscope.capture import Capture
from attnscope.decisions.decision import Decision
from attnscope.screens.screen import Screen
from attnscope.trials.trial import Trial
from attnscope_storage.reading.reader import CaptureReader


def open(path: str | Path) -> Capture:  # noqa: A001 - the word that zarr and xarray use too
    """Return a downloaded capture, the same object as a remote one.

    Parameters
    ----------
    path
        Folder of the capture: what `attnscope fetch` or `Capture.download` wrote.

    Raises
    ------
    CaptureNotFoundError
        There is no capture at `path`.

    Examples
    --------
    >>> capture = attnscope.open("capture.zarr")
    >>> capture.steps_committed
    60
    """
    return Capture(CaptureReader.open(Path(path)))


def open_trial(path: str | Path) -> Trial:
    """Return a downloaded trial, the same object as a remote one.

    Parameters
    ----------
    path
        Folder of the trial: what `attnscope fetch` or `Trial.download` wrote.

    Raises
    ------
    CaptureNotFoundError
        There is nothing at `path`.
    StoreKindError
        There is a capture.

    Examples
    --------
    >>> trial = attnscope.open_trial("trial.zarr")
    >>> trial.conditions_committed
    4
    """
    return Trial(CaptureReader.open(Path(path)))


def open_screen(path: str | Path) -> Screen:
    """Return a downloaded screen, the same object as a remote one.

    Parameters
    ----------
    path
        Folder of the screen: what `attnscope fetch` or its `download` wrote.

    Raises
    ------
    CaptureNotFoundError
        There is nothing at `path`.
    StoreKindError
        What is there is no screen.
    """
    return Screen(CaptureReader.open(Path(path)))


def open_decision(path: str | Path) -> Decision:
    """Return a downloaded decision, the same object as a remote one.

    Parameters
    ----------
    path
        Folder of the decision: what `attnscope fetch` or its `download` wrote.

    Raises
    ------
    CaptureNotFoundError
        There is nothing at `path`.
    StoreKindError
        What is there is no decision.
    """
    return Decision(CaptureReader.open(Path(path)))
