"""The examples that start workers: a script for Slurm and a manifest for Kubernetes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from attnscope_server.cli.app import app

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "workers"

STUB = """#!/bin/bash
echo "$@" >> told
trap 'echo drained >> told; exit 0' USR1 TERM
touch ready
for _ in $(seq 600); do sleep 0.1; done
"""
"""Program in the place of a worker: it notes its arguments, and ends when it is told to."""


REST = "--stores s3://lab/attnscope --device auto --threads 4 --idle-minutes 10"
"""Further arguments of the worker."""


@pytest.fixture
def started(tmp_path):
    """Return a function that starts the script for Slurm over stubs, and waits until its worker runs."""
    for name, text in (("attnscope-server", STUB), ("scontrol", '#!/bin/bash\necho "scontrol $@" >> told\n')):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ATTNSCOPE_SERVICE": "https://box.example.org",
        "ATTNSCOPE_KEY_FILE": "/home/me/worker key",
        "SLURM_JOB_ID": "17",
    }

    def start(**further) -> subprocess.Popen:
        process = subprocess.Popen(
            [bash, str(FOLDER / "worker.sbatch")], cwd=tmp_path, env=environment | further, start_new_session=True
        )
        while not (tmp_path / "ready").exists():
            assert process.poll() is None, "the script has ended"
        return process

    return start


@pytest.mark.parametrize(("way", "again"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_the_script_for_slurm_drains_its_worker(started, tmp_path, way, again):
    """Ahead of the time limit the job is queued again after the worker has drained; when it is cancelled it is not."""
    process = started(ATTNSCOPE_STORES="s3://lab/attnscope", CUDA_VISIBLE_DEVICES="0", SLURM_CPUS_PER_TASK="4")
    process.send_signal(way)
    assert process.wait(60) == 0
    told = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    assert told == [
        f"worker --service https://box.example.org --key-file /home/me/worker key {REST}",
        "drained",
        *(["scontrol requeue 17"] if again else []),
    ]


def test_the_script_for_slurm_asks_for_its_signal_in_time():
    """Two minutes ahead of its end, to the script itself; and no key stands in it."""
    text = (FOLDER / "worker.sbatch").read_text(encoding="utf-8")
    assert {"--signal=B:USR1@120", "--requeue", "--gres=gpu:1"} <= set(
        re.findall(r"^#SBATCH (\S+)", text, re.MULTILINE)
    )
    assert "ats_" not in text


def test_the_manifest_starts_a_worker_with_a_key_in_a_file():
    """The command line takes its arguments; the pod has no other right, and time to give its job back."""
    manifest = yaml.safe_load((FOLDER / "worker.yaml").read_text(encoding="utf-8"))
    assert (manifest["apiVersion"], manifest["kind"]) == ("apps/v1", "Deployment")
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command = typer.main.get_command(app).commands["worker"]
    given = command.make_context("worker", list(container["args"]), resilient_parsing=False).params
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert container["command"] == ["attnscope-server", "worker"]
    assert given["service"].startswith("https://")
    assert volumes[mounts[str(given["key_file"].parent)]]["secret"]["defaultMode"] == 0o440
    assert mounts[str(given["cache"])] == "cache"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] >= 30
    assert manifest["spec"]["selector"]["matchLabels"] == manifest["spec"]["template"]["metadata"]["labels"]
    assert "env" not in container
