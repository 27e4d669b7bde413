"""The order by which a worker runs a job, whichever runner sends it."""

from __future__ import annotations

from attnscope_server.kinds import kind_of
from attnscope_server.records.job import StoredJob
from attnscope_server.running.messages import Run
from attnscope_server.settings import Settings


def order_of(
    job: StoredJob,
    attempt: int,
    settings: Settings,
    *,
    device: str,
    threads: int | None,
    lease_seconds: float | None = None,
) -> Run:
    """Return the order to run an attempt at a job.

    Parameters
    ----------
    job
        Of a kind that this service runs.
    attempt
        Number of the job's try.
    settings
        Where the data lie as the worker sees them, and what else it is told.
    device
        As the settings name it.
    threads
        Threads of the CPU; None leaves the choice to torch.
    lease_seconds
        Length of the runner's leases; None where it has none.
    """
    return Run(
        job=job.id,
        attempt=attempt,
        name=job.name,
        owner=job.owner,
        module=type(kind_of(job.kind)).__module__,
        spec=job.spec,
        resolved=job.resolved,
        data_root=settings.data_root.resolve(),
        stores=settings.stores_address,
        device=device,
        threads=threads,
        durable=settings.durable,
        environments=settings.environments,
        fused=settings.fused_attention,
        alive_seconds=settings.alive_seconds,
        lease_seconds=lease_seconds,
        resume_on=job.resume_on,
        device_kind=job.device_kind,
    )
