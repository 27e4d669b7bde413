"""A job as the laptop holds it: how far it is, waiting for it, its capture or trial."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import UUID

from attnscope.connecting.responses import read_model
from attnscope.connecting.transport import Transport
from attnscope.kinds.view import view_of
from attnscope.waiting import until_ended
from attnscope_storage.errors import StoreKindError
from attnscope_storage.wire import DeviceKind, Job, JobChanges, JobState, JobSummary
from attnscope_storage.wire.contract import imported

if TYPE_CHECKING:
    from attnscope.capture import Capture
    from attnscope.decisions.decision import Decision
    from attnscope.fetching.stored import Stored
    from attnscope.screens.screen import Screen
    from attnscope.trials.trial import Trial


class JobHandle:
    """One job of the service; `refresh` asks again."""

    def __init__(self, transport: Transport, job: Job | JobSummary) -> None:
        self._transport = transport
        self.summary = job
        """The last answer of the service, perhaps without specification."""

    def __repr__(self) -> str:
        progress = self.summary.progress
        return f"<job {self.id} {self.state} {progress.steps_done}/{progress.steps_total}>"

    def _repr_html_(self) -> str:
        from attnscope.notebook import job_html  # noqa: PLC0415 - for notebooks only

        return job_html(self.info)

    @property
    def info(self) -> Job:
        """The last answer of the service, with the specification, which is fetched once for a job of a list."""
        if not isinstance(self.summary, Job):
            self.summary = read_model(Job, self._transport.request("GET", f"/v1/jobs/{self.id}"))
        return self.summary

    @property
    def id(self) -> UUID:
        """The job's id."""
        return self.summary.id

    @property
    def state(self) -> JobState:
        """The state that the service said last."""
        return self.summary.state

    def refresh(self, wait: float = 0.0) -> Self:
        """Ask again; with `wait`, the service answers when the job has ended, at the latest after so many seconds.

        Parameters
        ----------
        wait
            Seconds for which the service may hold its answer while the job has not ended.

        Returns
        -------
        JobHandle
            This job, with what the service said now.

        Examples
        --------
        >>> job.refresh().info.progress.steps_committed
        60
        """
        parameters = [("wait", str(wait))] if wait else None
        answer = self._transport.request("GET", f"/v1/jobs/{self.id}", parameters=parameters, patience=wait)
        self.summary = read_model(Job, answer)
        return self

    def wait(self, *, progress: bool | None = None, timeout: float | None = None) -> Self:
        """Return when the job has succeeded.

        Parameters
        ----------
        progress
            Show a bar: steps, steps/s, time left, place in the queue; lines where output is piped. None shows one
            in a notebook's cell alone.
        timeout
            Seconds; None waits for as long as it takes.

        Raises
        ------
        JobFailedError, JobCancelledError
            It ended otherwise.
        WaitTimeoutError
            It has not ended in time; it goes on.

        Examples
        --------
        >>> job.wait(timeout=600).state.value
        'succeeded'
        """
        until_ended(self, progress=progress, timeout=timeout)
        return self

    def cancel(self) -> Self:
        """Ask the job to stop; it is `cancelling` until its work has ended.

        Returns
        -------
        JobHandle
            This job, `cancelling` or, where nothing ran, `cancelled`.
        """
        self.summary = read_model(Job, self._transport.request("POST", f"/v1/jobs/{self.id}/cancel", repeatable=True))
        return self

    def retry(self) -> Self:
        """Queue the job again after it failed or was cancelled; it goes on from its last commit.

        Returns
        -------
        JobHandle
            This job, queued.

        Raises
        ------
        ConflictError
            The job waits, runs or has succeeded.
        """
        self.summary = read_model(Job, self._transport.request("POST", f"/v1/jobs/{self.id}/retry"))
        return self

    def keep(self, *, until: datetime | str | None = None, pinned: bool | None = None) -> Self:
        """Say until when the capture is kept, or pin it; what is not said stays as it is.

        Parameters
        ----------
        until
            Moment with its zone, after which the service may delete the capture.
        pinned
            Whether it is kept whatever the moment.

        Returns
        -------
        JobHandle
            This job, with the moment that now holds.
        """
        fields = {"expires_at": until, "pinned": pinned}
        return self._change({name: value for name, value in fields.items() if value is not None})

    def place(self, *, elsewhere: bool | None = None, device_kind: DeviceKind | Literal["any"] | None = None) -> Self:
        """Say where the job may run from its next attempt on; what is not said stays as it is.

        Parameters
        ----------
        elsewhere
            True lets it go on on another kind of device than the one that its commits were computed on: it then waits
            for no such device, and what it computes from there on is not equal to the bit.
        device_kind
            Kind of device that it waits for, such as ``cuda``; ``any`` takes every one.

        Returns
        -------
        JobHandle
            This job, with what now holds.
        """
        fields: dict[str, Any] = {} if elsewhere is None else {"resume_elsewhere": elsewhere}
        if device_kind is not None:
            fields["device_kind"] = None if device_kind == "any" else device_kind
        return self._change(fields)

    def _change(self, fields: dict[str, Any]) -> Self:
        changes = JobChanges.model_validate(fields)
        content = changes.model_dump_json(exclude_unset=True).encode()
        path, kind = f"/v1/jobs/{self.id}", {"Content-Type": "application/json"}
        self.summary = read_model(
            Job, self._transport.request("PATCH", path, content=content, headers=kind, repeatable=True)
        )
        return self

    def delete(self) -> None:
        """Delete the ended job and its capture."""
        self._transport.request("DELETE", f"/v1/jobs/{self.id}")

    def capture(self) -> Capture:
        """Return what is committed by now; also of a running job.

        Raises
        ------
        StoreKindError
            It is a trial.

        Examples
        --------
        >>> job.capture().returns().shape  # environments, finished episodes
        (2, 3)
        """
        from attnscope.capture import Capture  # noqa: PLC0415 - loads zarr

        self._refuse_other(Capture.kind)
        return Capture.remote(self._transport, str(self.id), ask_state=self._ask_state)

    def trial(self) -> Trial:
        """Return the conditions that are committed by now; also of a running job.

        Raises
        ------
        StoreKindError
            It is a capture.

        Examples
        --------
        >>> tried.trial().conditions[0].strategy  # the uncompressed rollout
        'none'
        """
        from attnscope.trials.trial import Trial  # noqa: PLC0415 - loads zarr

        self._refuse_other(Trial.kind)
        return Trial.remote(self._transport, str(self.id), ask_state=self._ask_state)

    def screen(self) -> Screen:
        """Return the rollouts that are committed by now; also of a running job.

        Raises
        ------
        StoreKindError
            It is no screen.
        """
        from attnscope.screens.screen import Screen  # noqa: PLC0415 - loads zarr

        self._refuse_other(Screen.kind)
        return Screen.remote(self._transport, str(self.id))

    def decision(self) -> Decision:
        """Return what is committed of a decision by now: its card, looks and arms; also of a running job.

        Raises
        ------
        StoreKindError
            It is no decision.
        """
        from attnscope.decisions.decision import Decision  # noqa: PLC0415 - loads zarr

        self._refuse_other(Decision.kind)
        return Decision.remote(self._transport, str(self.id))

    def stored(self) -> Stored:
        """Return what is committed by now of a job of any kind; also of a running job.

        Raises
        ------
        StoreKindError
            This client does not know the kind.
        """
        reads: type[Stored] = imported(view_of(self.summary.kind).stored)
        return reads.remote(self._transport, str(self.id), ask_state=self._ask_state)

    def _ask_state(self) -> str:
        """Return the state that the service says now; reports of unfinished results name it."""
        return self.refresh().state.value

    def _refuse_other(self, kind: str) -> None:
        if self.summary.kind != kind:
            raise StoreKindError(f"job {self.id} is a {self.summary.kind}, not a {kind}")
