"""The caps of a service: each is named where it refuses a request."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

MIB: Final = 2**20
"""Bytes."""

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0)]


class Limits(BaseModel):
    """Caps; each is named in the problem of a request that it refuses, and listed by ``/v1/capabilities``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int = Field(default=512, ge=8, description="Open connections; over it the longest idle one is ended.")
    header_bytes: Bytes = Field(default=32 * 1024, description="Header of a request.")
    request_seconds: Seconds = Field(default=20.0, description="Until a request has arrived whole, header and body.")
    body_bytes: Bytes = Field(default=1 * MIB, description="Body of a request.")
    chunk_bytes: Bytes = Field(default=64 * MIB, description="Encoded chunk that a worker sends.")
    body_lists: int = Field(default=50_000, ge=1, description="Lists and objects in the body of a request.")
    spec_bytes: Bytes = Field(default=MIB // 4, description="A job's specification, as JSON.")
    slice_result_bytes: Bytes = Field(default=64 * MIB, description="Body of a slice's answer.")
    slice_read_bytes: Bytes = Field(default=512 * MIB, description="Decoded chunks that one slice may read.")
    concurrent_slices: int = Field(default=4, ge=1, description="Slices cut at once; further ones wait.")
    waiting_slices: int = Field(default=128, ge=1, description="Slices that wait at once; further ones are refused.")
    range_parts: int = Field(default=1, ge=1, le=1, description="Parts of a Range; one is all that is served.")
    sending_bytes: Bytes = Field(
        default=512 * MIB, description="Answers made or waiting for readers; arriving chunks have as much again."
    )
    reader_seconds: Seconds = Field(default=30.0, description="A reader that takes nothing for so long is left.")
    replay_result_bytes: Bytes = Field(default=64 * MIB, description="Float32 bytes of one replayed answer.")
    replay_work_bytes: Bytes = Field(default=1024 * MIB, description="Bytes of all layers' maps of one replayed step.")
    replay_flops: float = Field(default=2e12, gt=0, description="Floating-point operations of one replayed answer.")
    replay_seconds: Seconds = Field(default=30.0, description="Time of one replayed answer, waiting left out.")
    replay_cache_bytes: Bytes = Field(default=256 * MIB, description="Replayed answers kept in memory.")
    replays_per_owner: int = Field(default=4, ge=1, description="Replays of one owner that run or wait at once.")
    replays_waiting: int = Field(default=32, ge=1, description="Replays of all owners that run or wait at once.")
    long_poll_seconds: Seconds = Field(default=60.0, description="Longest wait of a poll.")
    long_polls: int = Field(default=128, ge=1, description="Polls of one owner that are held at once.")
    page_bytes: Bytes = Field(default=4 * MIB, description="Stored JSON of the jobs of a page; one is always shown.")
    page_jobs: int = Field(default=200, ge=1, description="Jobs of a page.")
    page_tasks: int = Field(default=500, ge=1, description="Tasks of a page.")
    queued_jobs: int = Field(default=1000, ge=1, description="Jobs of one owner that wait at once.")
    stored_bytes: Bytes | None = Field(
        default=None, description="Stored bytes of one owner's jobs, with what those to come will take; None: any."
    )
    running_per_owner: int | None = Field(
        default=None, ge=1, description="Jobs of one owner that run at once; None: as many as there are devices."
    )
    run_seconds: Seconds | None = Field(
        default=None, description="Time that a job may run, all its attempts together; None: any."
    )
    trial_decisions: int = Field(
        default=1_000_000_000, ge=1, description="Decisions of one trial: rollouts, divergences and what is timed."
    )
    trial_condition_bytes: Bytes = Field(default=256 * MIB, description="Decoded results of one condition of a trial.")
    capture_bytes: Bytes | None = Field(
        default=None, description="Decoded size of a capture or trial; None: free disk."
    )
