"""The messages between processes: what one end writes, the other reads, and nothing else."""

from __future__ import annotations

import json
import math
from uuid import UUID

import numpy as np
import pytest
from pydantic import ValidationError

from attnscope_server.replaying.messages import REPLAY_REPORT, Ask, Map, Refused
from attnscope_server.running.messages import (
    ORDER,
    REPORT,
    Advanced,
    Alive,
    Cancel,
    Cancelled,
    Died,
    Failed,
    GivenBack,
    Interrupted,
    Misplaced,
    Placement,
    Ready,
    Renewed,
    Run,
    Stop,
    Succeeded,
    Taken,
)
from attnscope_storage.wire import ProblemCode, problem

JOB = UUID("6f0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a11")
ABOUT = {"job": JOB, "attempt": 3}
HERE = Placement(device="cpu", dtype="float32", threads=1, torch="2.10")
WHY = problem(ProblemCode.INTERNAL, "it broke")

ORDERS = [Cancel(**ABOUT), Renewed(**ABOUT, said_at=12.5), Stop()]
REPORTS = [
    Ready(),
    Alive(),
    Alive(**ABOUT, said_at=12.5),
    Taken(**ABOUT, placed_on=HERE),
    Advanced(**ABOUT, phase="rolling", steps_done=2, steps_committed=1, bytes_written=5, steps_per_second=0.5),
    Succeeded(**ABOUT),
    Failed(**ABOUT, problem=WHY),
    Cancelled(**ABOUT),
    Interrupted(**ABOUT),
    GivenBack(**ABOUT),
    Misplaced(**ABOUT, placed_on=HERE),
    Died(**ABOUT, code=-9),
]
REPLAYS = [Ready(), Map(id=1, shape=(2, 3), bytes=24), Refused(id=1, problem=WHY)]


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        *((ORDER, one) for one in ORDERS),
        *((REPORT, one) for one in REPORTS),
        *((REPLAY_REPORT, one) for one in REPLAYS),
    ],
)
def test_a_message_is_read_as_it_was_written(adapter, message):
    """One line, without a line's end inside, and equal when it is read."""
    assert message.line.count(b"\n") == 1
    assert adapter.validate_json(message.line) == message


def test_a_job_is_read_as_it_was_written(jobs, submitted):
    """A whole specification and what it means come back equal."""
    job = submitted(jobs, "ümit")
    told = {
        "spec": job.spec,
        "resolved": job.resolved,
        "data_root": "/r",
        "stores": "/r",
        "device": "cpu",
        "module": "json",
    }
    order = Run(**ABOUT, name=JOB, owner=job.owner, **told)
    assert ORDER.validate_json(order.line) == order


def test_a_question_is_read_as_it_was_written():
    """Numbers of NumPy and tuples too."""
    asked = Ask(id=1, job=JOB, step=int(np.int64(3)), env=0, kind="weights", layers=(0, 1), heads=(2,))
    assert Ask.model_validate_json(asked.line) == asked


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b'{"type": "other"}', b'{"type": "stop", "extra": 1}', b'{"type": "cancel", "job": "x"}'],
)
def test_anything_else_is_refused(line):
    """A line that is no order is never taken for one."""
    with pytest.raises(ValidationError):
        ORDER.validate_json(line)


@pytest.mark.parametrize(
    "report",
    [
        Failed(**ABOUT, problem=problem(ProblemCode.INTERNAL, "it \0 broke")),
        GivenBack(**ABOUT).model_copy(update={"detail": "\0"}),
        Taken(**ABOUT, placed_on=HERE.model_copy(update={"device": "c\0pu"})),
    ],
    ids=lambda one: one.type,
)
def test_a_report_holds_no_text_that_a_database_refuses(report):
    """PostgreSQL keeps no NUL: the end of a job could never be written, or no claim be answered any more."""
    assert b"\\u0000" in report.line
    read = REPORT.validate_json(report.line)
    assert b"\\u0000" not in read.line
    assert "\N{REPLACEMENT CHARACTER}" in read.line.decode()


@pytest.mark.parametrize(
    "told",
    [
        {"type": "progress", "phase": "rolling", "steps_done": 1, "steps_committed": 0, "bytes_written": 0}
        | {"steps_per_second": 5e-324},
        {"type": "failed", "problem": WHY.model_dump(mode="json") | {"limit": math.inf}},
        {"type": "failed", "problem": WHY.model_dump(mode="json") | {"requested": math.nan}},
        {"type": "taken", "placed_on": HERE.model_dump() | {"device": "cpu\x1b[2J"}},
        {"type": "misplaced", "placed_on": HERE.model_dump() | {"torch": "\u202e2"}},
    ],
    ids=["a rate that divides to infinity", "infinity", "not a number", "a terminal's command", "a turned text"],
)
def test_a_report_of_a_stranger_is_no_trap(told):
    """An infinite number in the job database ends every claim; a control character ends in somebody's terminal."""
    with pytest.raises(ValidationError):
        REPORT.validate_json(json.dumps({"job": str(JOB), "attempt": 3} | told))
