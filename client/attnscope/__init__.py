"""The laptop's side of attnscope: connect to a service, submit captures, fetch slices, draw.

`import attnscope` loads neither zarr nor matplotlib, and never torch; each comes when it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnscope.connecting.connection import find_connection
from attnscope.connecting.transport import Transport
from attnscope.service import Service
from attnscope_storage import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Literal

    from attnscope.capture import Capture
    from attnscope.decisions.decision import Decision
    from attnscope.recommendations import Advice, MeasuredTrial
    from attnscope.screens.results import ScreenResults
    from attnscope.screens.screen import Screen
    from attnscope.trials import TrialResults
    from attnscope.trials.trial import Trial
    from attnscope_storage.wire import Capabilities
    from attnscope_storage.wire.decisions import DecisionCard

__all__ = [
    "Service",
    "__version__",
    "connect",
    "import_arrays",
    "open",
    "open_decision",
    "open_screen",
    "open_trial",
    "recommend",
    "screen",
]


def connect(url: str | None = None, api_key: str | None = None) -> Service:
    """Return the service at `url`, else the one that environment, configuration file or this machine name.

    Parameters
    ----------
    url
        E.g. ``http://127.0.0.1:8642``. None: ``ATTNSCOPE_URL``, then ``config.toml``, then a service on this machine.
    api_key
        None: ``ATTNSCOPE_API_KEY``, or the key that stands beside the address.

    Raises
    ------
    ConfigurationError
        No service is named anywhere, or a key would travel in the clear.

    Examples
    --------
    >>> with attnscope.connect(url, api_key) as service:
    ...     service.whoami().owner
    'operator'
    """
    return Service(Transport(find_connection(url, api_key)))


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
    from attnscope.capture import Capture  # noqa: PLC0415 - loads zarr
    from attnscope_storage.reading.reader import CaptureReader  # noqa: PLC0415 - loads zarr

    return Capture(CaptureReader.open(Path(path)))


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
    from attnscope.decisions.decision import Decision  # noqa: PLC0415 - loads zarr
    from attnscope_storage.reading.reader import CaptureReader  # noqa: PLC0415 - loads zarr

    return Decision(CaptureReader.open(Path(path)))


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
    from attnscope.trials.trial import Trial  # noqa: PLC0415 - loads zarr
    from attnscope_storage.reading.reader import CaptureReader  # noqa: PLC0415 - loads zarr

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
    from attnscope.screens.screen import Screen  # noqa: PLC0415 - loads zarr
    from attnscope_storage.reading.reader import CaptureReader  # noqa: PLC0415 - loads zarr

    return Screen(CaptureReader.open(Path(path)))


def screen(policy: Any, histories: Any, arms: Any = None, **options: Any) -> ScreenResults:  # noqa: ANN401 - types of the extra server
    """Return how far a policy's decisions change under every rule and budget, on stored histories; needs no service.

    Parameters
    ----------
    policy
        A loaded policy, of `attnscope_model`.
    histories
        Rollouts of it uncompressed, an `attnscope_server.screening.Histories`.
    arms
        Ways to see less, each an `attnscope_model.compression.Compression`; None: every rule at several shares.
    options
        Of `attnscope_server.screening.screen`, which this calls: decisions, seed, temperature, most_rewards.

    Raises
    ------
    MissingPackageError
        The extra ``server`` is not installed.
    """
    from attnscope.screens.here import screen_here  # noqa: PLC0415 - loads strategies

    return screen_here(policy, histories, arms, **options)


def import_arrays(
    rows: Any,  # noqa: ANN401 - any array: numpy, torch, a list
    lengths: Any = None,  # noqa: ANN401 - as above
    *,
    out: str | Path,
    rewards: Any = None,  # noqa: ANN401 - as above
    returns: Any = None,  # noqa: ANN401 - as above
    episodes: Any = None,  # noqa: ANN401 - as above
    actions: Any = None,  # noqa: ANN401 - as above
    tasks: Any = None,  # noqa: ANN401 - as above
    causal: bool | None = None,
    query_slot: Literal["first", "last"] = "last",
    tokens_per_transition: int = 1,
    width: int | None = None,
    name: str | None = None,
    environment: str | None = None,
) -> Capture:
    """Make a capture out of attention that was recorded elsewhere; what is left out stays unknown, in words.

    The env axis may be left out of every array where there is one environment.

    Parameters
    ----------
    rows
        Decision rows, float [step, env, layer, head, slot], from the first step of a rollout on: the attention of the
        query that decides, which sums to 1 over the slots of its context. Past the context NaN or 0.
    lengths
        Tokens of each context, the query among them, integer [step, env]. None: a context ends where NaN begins.
    out
        New folder of the capture.
    rewards
        Float [step, env].
    returns
        Return of every finished episode, float [env, episode]. None: from rewards and episodes, where both are given,
        without the last episode, which may go on.
    episodes
        Number of each step's episode, integer [step, env].
    actions
        Integer [step, env].
    tasks
        Index of each environment's task, integer [env]; environments of one task are rollouts of it.
    causal
        Mask of the policy.
    query_slot
        Where in the context the query is.
    tokens_per_transition
        Tokens that one transition takes.
    width
        Embedding width of the policy; operations are counted where it is known.
    name
        Name of the policy.
    environment
        Name of the environment.

    Returns
    -------
    Capture
        The capture in the new folder, opened.

    Raises
    ------
    ForeignFileError
        An array has another shape than wanted, a weight inside a context is NaN, or a row does not sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.full((40, 2, 4, 8), np.nan)  # [step, layer, head, slot]
    >>> for step in range(40):
    ...     rows[step, ..., : min(step + 1, 8)] = 1 / min(step + 1, 8)
    >>> capture = attnscope.import_arrays(rows, out="mine.zarr")  # doctest: +SKIP
    """
    from attnscope.foreign import write_arrays  # noqa: PLC0415 - loads zarr

    arrays = {"rows": rows, "lengths": lengths, "rewards": rewards, "returns": returns, "episodes": episodes}
    written = write_arrays(
        Path(out),
        arrays | {"actions": actions, "tasks": tasks},
        causal=causal,
        query_slot=query_slot,
        tokens_per_transition=tokens_per_transition,
        width=width,
        name=name,
        environment=environment,
    )
    return open(written)


def recommend(
    capture: Capture,
    *,
    budget: float | None = None,
    trials: Sequence[MeasuredTrial | TrialResults] = (),
    screen: Screen | ScreenResults | None = None,
    decision: Decision | DecisionCard | None = None,
    capabilities: Capabilities | None = None,
    full: bool = False,
    envs: tuple[int, ...] | None = None,
    steps: int | None = None,
) -> Advice:
    """Return what is known about compressing a policy's context; see `attnscope.recommendations.recommend`.

    Parameters
    ----------
    capture
        With decision rows; it may still be running.
    budget
        Share of the history that strategies are compared at, above 0; None finds one.
    trials
        Trials of the same checkpoint, or single measured conditions of them.
    screen
        A screen of the same policy; it leads where there is no decision.
    decision
        A decision on the same policy, or its card; its answer leads.
    capabilities
        Of the service; where it takes trials, each strategy comes with the command that tries it.
    full
        Read the rows of every step for the patterns, not a sample.
    envs
        Places among the stored environments that count; None takes all.
    steps
        Only so many environment steps from the beginning count; None takes all.

    Raises
    ------
    NotCapturedError
        The capture has no decision rows, or none yet.

    Examples
    --------
    >>> advice = attnscope.recommend(capture)
    >>> advice.recommendations[0].rank
    1
    """
    from attnscope.recommendations import recommend as advise  # noqa: PLC0415 - loads zarr

    return advise(
        capture,
        budget=budget,
        trials=trials,
        screen=screen,
        decision=decision,
        capabilities=capabilities,
        full=full,
        envs=envs,
        steps=steps,
    )
