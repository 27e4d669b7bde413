"""A kill at any moment leaves a whole capture, and resuming ends with the arrays of an uninterrupted one."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from attnscope_storage.errors import CaptureNotFoundError
from attnscope_storage.kinds.capture.compressions import CompressionDims
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.verify import verify
from attnscope_storage.wire.packing import Rhythm

PROGRAM = Path(__file__).parents[1] / "rollout.py"


class Crash(BaseException):
    """Stands for a kill inside the test's own process: nothing is cleaned up for it."""


def assert_prefix(path, expected):
    """Assert that what is committed, if anything, is a prefix of the uninterrupted capture."""
    try:
        reader = CaptureReader.open(path)
    except CaptureNotFoundError:
        return
    for name in reader.names():
        values = reader.array(name)[:]
        assert np.array_equal(values, expected[name][: len(values)], equal_nan=values.dtype.kind == "f"), name


FORMS = {
    "f16": {"map_steps": (0, 5)},
    "u8": {"row_form": "u8", "map_steps": ()},
    "bins and a curve": {"row_envs": None, "bin_envs": (0, 1, 2), "curve": True, "map_steps": ()},
    "a curve alone": {"row_envs": None, "curve": True, "map_steps": ()},
    "compressions": {
        "map_steps": (),
        "latents": 2,
        "compressions": CompressionDims(Rhythm(3, 2, 3, 4), latents=2, width=4, layers=1, heads=2, envs=(0, 2)),
    },
}
"""Forms of the rows, as sizes of the capture."""


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=[] if form == "f16" else [pytest.mark.slow]) for form in FORMS]
)
def test_a_crash_at_every_stage_leaves_a_whole_capture(tmp_path, rollout, decoded, assert_same, form):
    """Crashing at each stage in turn, and going on from there, ends with the uninterrupted arrays.

    The documents of single arrays are written at creation and in each commit alike: those of the first are enough.
    """
    of = rollout.schema(steps=6, **FORMS[form])
    stages: list[str] = []
    rollout.work(tmp_path / "whole.zarr", of, at_stage=stages.append)
    expected = decoded(tmp_path / "whole.zarr")
    assert stages.count("root-renamed") >= 3  # creation, the commits, the declaration that it is complete
    for place, reached in enumerate(stages):
        if reached.startswith("array-metadata-written") and stages[:place].count(reached) > 1:
            continue
        path, passed = tmp_path / f"{place}.zarr", []

        def crash(stage, passed=passed, place=place):
            passed.append(stage)
            if len(passed) == place + 1:
                raise Crash(stage)

        with pytest.raises(Crash):
            rollout.work(path, of, at_stage=crash)
        assert_prefix(path, expected)
        rollout.work(path, of)
        assert_same(decoded(path), expected)


def test_crash_after_crash_still_ends(tmp_path, rollout, expected, decoded, assert_same):
    """A capture that crashes again at the first stage of each resumption but one loses nothing."""
    path = tmp_path / "capture.zarr"
    rollout.write(path, until=8)
    for stage in ("chunks-written", "array-metadata-written:context/start", "root-staged"):

        def crash(passed, stage=stage):
            if passed == stage:
                raise Crash(passed)

        with pytest.raises(Crash):
            rollout.work(path, at_stage=crash)
        assert CaptureReader.open(path).steps_committed == 8
    rollout.work(path)
    assert_same(decoded(path), expected)


@pytest.mark.parametrize(
    ("stage", "nth"),
    [
        ("chunks-written", 1),
        ("array-metadata-written:env/task", 1),
        ("root-staged", 1),
        ("root-renamed", 1),
        ("chunks-written", 3),
        ("array-metadata-written:rollout/reward", 4),
        ("root-staged", 7),
        ("root-renamed", 7),
    ],
)
def test_sigkill_at_a_stage(tmp_path, expected, decoded, assert_same, stage, nth):
    """A process that kills itself at a stage, in creation, in a commit or at the last one, is resumed by the next."""
    path = tmp_path / "capture.zarr"
    killed = subprocess.run([sys.executable, PROGRAM, path, stage, str(nth)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert_prefix(path, expected)
    subprocess.run([sys.executable, PROGRAM, path], check=True)
    assert_same(decoded(path), expected)
    assert verify(CaptureReader.open(path)).ok


@pytest.mark.parametrize("commits", [1, 4])
def test_sigkill_from_outside(tmp_path, expected, decoded, assert_same, commits):
    """A process killed by another somewhere after its n-th commit is resumed by the next."""
    path = tmp_path / "capture.zarr"
    with subprocess.Popen([sys.executable, PROGRAM, path], stdout=subprocess.PIPE, text=True) as process:
        for _ in range(commits):
            process.stdout.readline()
        process.kill()
    assert CaptureReader.open(path).steps_committed >= 4 * commits
    assert_prefix(path, expected)
    subprocess.run([sys.executable, PROGRAM, path], check=True)
    assert_same(decoded(path), expected)


def test_a_live_reader_never_sees_a_hole(tmp_path, rollout, expected):
    """While a capture is written, crashes and goes on, whatever a reader may read is what was written."""
    path = tmp_path / "capture.zarr"
    done, failures, reads = threading.Event(), [], set()

    def watch():
        while not done.is_set() or 22 not in reads:
            try:
                assert_prefix(path, expected)
                reads.add(CaptureReader.open(path).steps_committed)
            except CaptureNotFoundError:
                continue
            except BaseException as error:  # noqa: BLE001  # handed to the test below
                failures.append(error)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    for place in range(3, 120, 9):
        passed = []

        def crash(stage, passed=passed, place=place):
            passed.append(stage)
            if len(passed) == place:
                raise Crash(stage)

        try:
            rollout.work(path, at_stage=crash)
        except Crash:
            continue
    rollout.work(path)
    done.set()
    watcher.join()
    assert failures == []
    assert 22 in reads


def test_array_documents_are_put_back_by_resuming(running, rollout):
    """An array's own document, which a crash left ahead of the root, says what the root says once resumed."""

    def crash(stage):
        if stage == "root-staged":
            raise Crash(stage)

    with pytest.raises(Crash):
        rollout.work(running, at_stage=crash)
    reader = CaptureReader.open(running)
    own = running / "rollout/action/zarr.json"
    assert reader.steps_committed == 8
    assert own.read_bytes() != reader.metadata_bytes("rollout/action/zarr.json")
    with rollout.CaptureWriter.resume(running, rollout.schema()):
        assert own.read_bytes() == reader.metadata_bytes("rollout/action/zarr.json")
