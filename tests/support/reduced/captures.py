"""One rollout of the shipped policy, captured once in every form of its rows, as succeeded jobs of a data root."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args
from unittest import mock
from uuid import UUID, uuid5

import numpy as np
import torch

import attnscope
from attnscope.capture import Capture
from attnscope_model.checkpoints.native import load_policy
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_model.forward.policy import Policy
from attnscope_server.capturing.job import CaptureOrder, run_capture
from attnscope_server.capturing.keeping import Form
from attnscope_server.capturing.resolving import resolve
from attnscope_server.records.database import Database
from attnscope_server.records.job_store import JobStore
from attnscope_server.root.captures import Captures
from attnscope_server.root.data_root import prepare
from attnscope_server.settings import Settings
from attnscope_storage import ages
from attnscope_storage.layout.chunks import chunk_key, encode_chunk, grid_of, indices
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import CaptureSpec, JobState

CPU = torch.device("cpu")
CHECKPOINT: Final = "AD-darkroom-seed42@1782"
"""A shipped policy of 100 tokens, which learns."""

FORMS: Final[tuple[Form, ...]] = get_args(Form)
"""Every form that rows may be asked for in."""

BINS: Final = 50
"""Age bins of a head: so few that a bin beyond 32 tokens holds several, as it does in a long context."""

SPACE: Final = UUID("5a0c6f60-3f6e-4a53-9d4e-0d4f4b7d2a17")

ASKED: Final = {
    "tasks": {"split": "test", "indices": [0, 1, 2, 3]},
    "seeds": [0, 1],
    "steps": 240,
    "maps": {"count": 1},
}


@dataclass(frozen=True)
class Captured:
    """A data root that no service holds, and the job of every form."""

    root: Path
    registry: CheckpointRegistry
    policy: Policy
    jobs: dict[str, str]
    """Id of the job, by form."""
    stores: dict[str, UUID]
    specs: dict[str, CaptureSpec]

    def path(self, form: str) -> Path:
        """Return the folder of a form's capture."""
        return Captures(self.root).path(self.stores[form])

    def open(self, form: str) -> Capture:
        """Return a form's capture, read from its folder."""
        return attnscope.open(self.path(form))


def capture_every_form(where: Settings) -> Captured:
    """Enter a succeeded job for each form into a new data root."""
    torch.set_num_threads(1)
    prepare(where)
    registry = CheckpointRegistry(where.checkpoints_folder)
    registry.add_shipped()
    info = registry.get(CHECKPOINT)
    policy = load_policy(registry.folder(info.id), CPU)
    database = Database.open(where.database_path, durable=False)
    jobs = JobStore(database)
    captured = Captured(where.data_root, registry, policy, {}, {}, {})
    with mock.patch.object(ages, "BINS", BINS):
        for form in FORMS:
            rows = {"form": form, "curve": True if form == "none" else None}
            spec = CaptureSpec.model_validate({"checkpoint": info.id, "rows": rows, **ASKED})
            job, _ = jobs.submit(
                uuid5(SPACE, form), "local", spec, lambda asked, _: resolve(asked, registry), queue_limit=10
            )
            jobs.claim()
            captured.jobs[form], captured.stores[form], captured.specs[form] = str(job.name), job.id, spec
            order = CaptureOrder(str(job.name), "local", spec, job.resolved, captured.path(form), durable=False)
            run_capture(order, policy, info, CPU)
            jobs.move(job.id, JobState.SUCCEEDED)
    database.close()
    return captured


def flatten(whole: Path, edges: np.ndarray, folder: Path) -> Path:
    """Copy a capture of float16 rows, with each weight replaced by the mean of its age bin.

    Parameters
    ----------
    edges
        First age of each bin, and the end of the last one.
    """
    shutil.copytree(whole, folder)
    reader = CaptureReader.open(whole)
    stored = reader.root.arrays["attention/rows"]
    rows, length = reader.array("attention/rows")[:], reader.array("context/length")[:]
    for step, env in np.ndindex(*length.shape):
        tokens = int(length[step, env])
        aged = rows[step, env, ..., :tokens][..., ::-1].astype(np.float64)
        for first, end in zip(edges[:-1], np.minimum(edges[1:], tokens), strict=True):
            if first < end:
                aged[..., first:end] = aged[..., first:end].mean(axis=-1, keepdims=True)
        rows[step, env, ..., :tokens] = aged[..., ::-1]
    for index in indices(grid_of(stored.shape, stored.chunks)):
        part = rows[tuple(slice(i * size, (i + 1) * size) for i, size in zip(index, stored.chunks, strict=True))]
        short = [(0, size - held) for size, held in zip(stored.chunks, part.shape, strict=True)]
        whole_chunk = np.pad(part, short, constant_values=np.nan)
        (folder / chunk_key("attention/rows", index)).write_bytes(encode_chunk(whole_chunk))
    return folder
