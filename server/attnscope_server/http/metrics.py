"""Counts that the service keeps of itself, in Prometheus' format.

One registry a service, none of the library's global one, so that two services of a test do not share numbers. Knows
no owner and no job: only sums leave it.
"""

from __future__ import annotations

import time
from collections import Counter as Counted
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attnscope_server.http.state import State

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the latency histogram, in seconds."""


class Metrics:
    """The numbers of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.seconds = Histogram(
            "attnscope_request_seconds",
            "From the first byte of a request to the last byte of its answer.",
            labels,
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.sent = Counter("attnscope_response_bytes", "Bytes of answers' bodies.", ("route",), registry=self.registry)

    def exposition(self, state: State) -> bytes:
        """Return every number as text."""
        live = CollectorRegistry()
        live.register(_Jobs(state))
        return generate_latest(live) + generate_latest(self.registry)


class Measured:
    """Notes how long each request took, by its route and status; plain ASGI, around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status, sent = time.perf_counter(), 500, 0

        async def counted(message: Message) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            # The route's template, never the path: a path may name anything, and each would be a series of its own.
            route = getattr(scope.get("route"), "path", None) or "none"
            self._metrics.seconds.labels(_method(scope), route, str(status)).observe(time.perf_counter() - begun)
            self._metrics.sent.labels(route).inc(sent)


def _method(scope: Scope) -> str:
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return scope["method"] if scope["method"] in known else "other"


class _Jobs(Collector):
    """The values that are read off the service at the moment of asking."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        jobs = GaugeMetricFamily("attnscope_jobs", "Jobs by state, deleted ones left out.", labels=["state"])
        counts = self._state.jobs.count_by_state()
        for state, count in counts.items():
            jobs.add_metric([state.value], count)
        yield jobs
        yield self._slots()
        running = [job for _, job in self._state.supervisor.devices() if job is not None]
        found = [(job, self._state.supervisor.progress(job.id)) for job in running]
        reported = [progress for _, progress in found if progress is not None]
        lags = [progress.steps_done - progress.steps_committed for progress in reported]
        gauges: tuple[tuple[str, str, float], ...] = (
            ("attnscope_steps_per_second", "Of all running jobs.", sum(p.steps_per_second or 0.0 for p in reported)),
            (
                "attnscope_jobs_stalled",
                "Running jobs without a sign of work for long.",
                sum(p.stalled for p in reported),
            ),
            ("attnscope_commit_lag_steps", "Steps not yet committed, at most of a job.", max(lags, default=0)),
            ("attnscope_running_bytes_written", "Stored by the running jobs.", sum(p.bytes_written for p in reported)),
            ("attnscope_devices", "Devices that run jobs.", len(self._state.supervisor.devices())),
            ("attnscope_devices_busy", "Devices with a job.", len(running)),
            ("attnscope_slices_waiting", "Slices that wait for a turn.", self._state.slices.waiting),
            ("attnscope_polls_held", "Long polls that are held.", self._state.polls.held),
            ("attnscope_sending_bytes", "Answers that wait for their readers.", self._state.sending.held),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(name, text, value=value)

    def _slots(self) -> Metric:
        slots = GaugeMetricFamily("attnscope_placement_slots", "Placement slots.", labels=["runner", "kind", "state"])
        states = Counted(
            (place.runner, place.slot.kind.value, "busy" if place.job else "free" if place.slot.free else "away")
            for place in self._state.supervisor.places()
        )
        for labels, count in sorted(states.items()):
            slots.add_metric(list(labels), count)
        return slots
