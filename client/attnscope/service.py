"""A service as the laptop sees it: submit, list, look up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from pydantic import ValidationError

from attnscope.connecting.responses import read_model, read_models
from attnscope.connecting.transport import Transport
from attnscope.errors import JobNameError, RequestRefusedError
from attnscope.job import JobHandle
from attnscope_storage.wire import (
    JOB_SPEC,
    AnySpec,
    Capabilities,
    CheckpointInfo,
    DeviceKind,
    EnvironmentInfo,
    Estimate,
    Job,
    JobState,
    JobSummary,
    StrategyInfo,
    SummaryPage,
    TaskCell,
    TaskPage,
    WhoAmI,
)
from attnscope_storage.wire.wording import wrong_fields

JSON = {"Content-Type": "application/json"}
LISTED_JOBS = 8
"""Jobs that a notebook's table of a service lists."""
SHORTEST_PREFIX = 4
"""Characters of a job's id that a prefix needs."""


class Service:
    """A connected service. Use `attnscope.connect`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<attnscope service>"

    def _repr_html_(self) -> str:
        from attnscope.notebook import table  # noqa: PLC0415 - for notebooks only

        rows: dict[str, object] = {}
        for place, job in zip(range(LISTED_JOBS), self.jobs(), strict=False):
            one = job.summary
            named = f", {one.label}" if one.label else ""
            rows[f"{place + 1}. {str(one.id)[:8]}"] = f"{one.kind} of {one.checkpoint_name}: {one.state}{named}"
        return table("attnscope service, newest jobs", rows or {"jobs": "none yet"})

    @property
    def address(self) -> str:
        """Its address, without the key."""
        return self._transport.connection.url

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def submit(
        self,
        spec: AnySpec | None = None,
        *,
        job_id: UUID | None = None,
        device_kind: DeviceKind | None = None,
        **options: Any,  # noqa: ANN401 - fields of the spec
    ) -> JobHandle:
        """Queue a capture or a trial and return its job.

        Parameters
        ----------
        spec
            The specification, or its fields as keywords: ``submit(checkpoint="AD", episodes=50)`` is a capture,
            ``submit(kind="trial", checkpoint="AD", strategies=[{"name": "recency"}], budgets=[0.4])`` a trial.
        job_id
            Names the job, so that submitting again changes nothing; minted here where None.
        device_kind
            Kind of device that the job waits for, such as ``cuda``; None takes any.
        **options
            Fields of the specification, where `spec` is None.

        Returns
        -------
        JobHandle
            The job as the service queued it.

        Raises
        ------
        RequestRefusedError
            A field is wrong, or names what the service does not have; or an older service knows no kinds of device.

        Examples
        --------
        >>> job = service.submit(checkpoint="AD-darkroom", tasks={"split": "test", "indices": [0]}, steps=20)
        >>> job.wait().state.value
        'succeeded'
        """
        content = _spec(spec, options).model_dump_json(exclude_defaults=False).encode()
        path = f"/v1/jobs/{job_id or uuid4()}"
        asked = [] if device_kind is None else [("device_kind", device_kind)]
        answer = self._transport.request("PUT", path, parameters=asked, content=content, headers=JSON)
        job = self._handle(read_model(Job, answer))
        if device_kind is None or job.summary.device_kind == device_kind:
            return job
        return job.place(device_kind=device_kind)  # submitted before, or to an older service, which refuses the field

    def estimate(self, spec: AnySpec | None = None, **options: Any) -> Estimate:  # noqa: ANN401 - fields of the spec
        """Say what a job would cost; nothing is queued.

        Parameters
        ----------
        spec
            The specification; None where its fields are given as keywords.
        **options
            Fields of the specification, where `spec` is None.

        Returns
        -------
        Estimate
            Bytes on disk and in memory, and a guess of the time in seconds.

        Examples
        --------
        >>> cost = service.estimate(checkpoint="AD-darkroom", tasks={"split": "test", "indices": [0]}, steps=20)
        >>> cost.bytes_on_disk > 0
        True
        """
        content = _spec(spec, options).model_dump_json().encode()
        answer = self._transport.request("POST", "/v1/jobs:estimate", content=content, headers=JSON, repeatable=True)
        return read_model(Estimate, answer)

    def jobs(
        self, *, states: Iterable[JobState] = (), kind: str | None = None, label: str | None = None
    ) -> Iterator[JobHandle]:
        """Yield jobs, newest first; pages are fetched as they are needed.

        Pages hold summaries: the specification of a job is fetched when its `JobHandle.info` is first asked for.

        Parameters
        ----------
        states
            Only jobs in these states; empty takes all.
        kind
            Only jobs of this kind, such as ``capture``.
        label
            Only jobs with this label.

        Examples
        --------
        >>> [job.info.label for job in service.jobs(label="a trial")]
        ['a trial']
        """
        parameters = [("state", str(state)) for state in states]
        parameters += [(name, value) for name, value in (("kind", kind), ("label", label)) if value is not None]
        cursor: list[tuple[str, str]] = []
        while True:
            asked = [*parameters, *cursor, ("view", "summary")]
            page = read_model(SummaryPage, self._transport.request("GET", "/v1/jobs", parameters=asked))
            yield from map(self._handle, page.jobs)
            if page.next_cursor is None:
                return
            cursor = [("cursor", page.next_cursor)]

    def job(self, name: str | UUID) -> JobHandle:
        """Return a job by id, a unique prefix of an id, or ``last``; a part of a decision as ``JOB/capture``.

        Parameters
        ----------
        name
            Id of the job, a prefix of 4 characters at least that fits no other, or ``last``.

        Raises
        ------
        JobNameError
            No job fits, or several do.

        Examples
        --------
        >>> service.job("last").state.value
        'succeeded'
        """
        text = str(name).lower()
        if "/" in text:
            owner, part = text.split("/", 1)
            if owner in {"", ".", "..", "~"} or Path(str(name)).exists():
                where = "a downloaded folder goes behind --capture, or to attnscope.open"
                raise JobNameError(f"{str(name)!r} is a path, and a job is meant: {where}")
            children = self.job(owner).decision().card.children
            if part not in children:
                raise JobNameError(f"{owner} owns no {part!r}; it owns {', '.join(children) or 'nothing yet'}")
            return self.job(children[part])
        if text == "last":
            for handle in self.jobs():
                return handle
            raise JobNameError("there is no job yet")
        try:
            full = UUID(text)
        except ValueError:
            fitting = [handle for handle in self.jobs() if str(handle.id).startswith(text)]
            if len(text) < SHORTEST_PREFIX or len(fitting) != 1:
                found = f"{len(fitting)} jobs" if len(text) >= SHORTEST_PREFIX else "too short to name a job"
                raise JobNameError(f"{name!r}: {found}; give an id, a longer prefix, or 'last'") from None
            return fitting[0]
        return self._handle(read_model(Job, self._transport.request("GET", f"/v1/jobs/{full}")))

    def checkpoints(self) -> list[CheckpointInfo]:
        """Return the registered checkpoints.

        Examples
        --------
        >>> [one.name for one in service.checkpoints() if one.policy.family == "ad-reference"]
        ['AD-darkroom-seed42@1782', ...]
        """
        return read_models(CheckpointInfo, self._transport.request("GET", "/v1/checkpoints"))

    def environments(self) -> list[EnvironmentInfo]:
        """Return the listed environments with their presets and tasks."""
        return read_models(EnvironmentInfo, self._transport.request("GET", "/v1/environments"))

    def strategies(self, checkpoint: str | None = None) -> list[StrategyInfo]:
        """Return the strategies that a trial may name, and where each fits: any policy, or a checkpoint's.

        Parameters
        ----------
        checkpoint
            Name or id of a checkpoint; None judges for any policy.

        Examples
        --------
        >>> "recency" in [one.name for one in service.strategies()]
        True
        """
        parameters = [] if checkpoint is None else [("checkpoint", checkpoint)]
        return read_models(StrategyInfo, self._transport.request("GET", "/v1/strategies", parameters=parameters))

    def tasks(self, preset: str, split: str = "all") -> Iterator[TaskCell]:
        """Yield a preset's tasks in the order of a split; pages are fetched as they are needed.

        Parameters
        ----------
        preset
            Name of the preset, such as ``darkroom-reference``.
        split
            ``train``, ``validation``, ``test`` or ``all``.
        """
        offset: int | None = 0
        while offset is not None:
            parameters = [("preset", preset), ("split", split), ("offset", str(offset))]
            page = read_model(TaskPage, self._transport.request("GET", "/v1/tasks", parameters=parameters))
            yield from page.tasks
            offset = page.next_offset if page.next_offset != offset else None

    def capabilities(self) -> Capabilities:
        """Return what the service can do, and its caps."""
        return read_model(Capabilities, self._transport.request("GET", "/v1/capabilities"))

    def whoami(self) -> WhoAmI:
        """Return the key as the service sees it."""
        return read_model(WhoAmI, self._transport.request("GET", "/v1/whoami"))

    def _handle(self, job: Job | JobSummary) -> JobHandle:
        return JobHandle(self._transport, job)


def _spec(spec: AnySpec | None, options: dict[str, Any]) -> AnySpec:
    if spec is not None and options:
        raise RequestRefusedError("give a specification or its fields, not both")
    try:
        return spec or JOB_SPEC.validate_python({"kind": "capture", **options})
    except ValidationError as error:
        raise RequestRefusedError("; ".join(wrong_fields(error.errors()))) from error
