"""The example script of a worker under Slurm: Debian's own daemons with two made-up GPUs, on this machine.

It is slow, and needs `slurm-wlm` and `munge`, and an account that may start them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import attnscope
from attnscope_server.root.paths import capture_path
from attnscope_storage.reading.reader import CaptureReader
from attnscope_storage.wire import JobState

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "squeue")
SCRIPT = Path(__file__).resolve().parents[3] / "examples" / "workers" / "worker.sbatch"
SECONDS = 240.0

CONF = """
ClusterName=attnscope
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={controller}
SlurmdPort={node}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=20
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.getuid() != 0 or any(shutil.which(name) is None for name in PROGRAMS),
        reason="needs Slurm's daemons, and root to start them: apt install slurm-wlm munge",
    ),
]


def wait_until(condition: Callable[[], object], why: Callable[[], str] = lambda: "") -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to that in time: {why()}"
        time.sleep(0.1)


class Slurm:
    """A cluster of one node."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def said(self, *command: str) -> str:
        """Run one of Slurm's commands, and return what it says."""
        done = subprocess.run(command, env=self.environment, cwd=self.folder, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def state(self, job: str) -> str:
        """Return the state of a job of Slurm's; empty where it is forgotten."""
        return self.said("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}")

    def output(self, job: str) -> str:
        """Return all that a job of Slurm's has written."""
        path = self.folder / f"slurm-{job}.out"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def slurm(tmp_path_factory) -> Iterator[Slurm]:
    """Run munge, the controller and a node whose GPUs are two regular files."""
    folder = tmp_path_factory.mktemp("slurm")
    host = socket.gethostname().partition(".")[0]
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"controller": one.getsockname()[1], "node": other.getsockname()[1]}
    for name in ("state", "spool"):
        (folder / name).mkdir()
    for number in range(2):
        (folder / f"gpu{number}").write_bytes(b"")
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, **ports), encoding="utf-8")
    gres = f"NodeName={host} Name=gpu File={folder}/gpu[0-1]\n"
    (folder / "gres.conf").write_text(gres, encoding="utf-8")
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    folder.chmod(0o755)
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    program = bin_folder / "attnscope-server"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from attnscope_server.cli import main; main()" "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    environment = os.environ | {
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
    }
    endings = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    munge = [f"--{name}={folder}/munge.{ending}" for name, ending in endings.items()]
    with ExitStack() as running:

        def start(*command: str) -> None:
            log = running.enter_context((folder / f"{Path(command[0]).name}.log").open("wb"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            running.callback(process.wait, 30)
            running.callback(process.terminate)

        start("munged", "--foreground", "--force", *munge)
        wait_until((folder / "munge.socket").exists, (folder / "munged.log").read_text)
        start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        start("slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", host)
        made = Slurm(folder, environment)

        def ready() -> bool:
            done = subprocess.run(("sinfo", "-h", "-o", "%T"), env=environment, check=False, capture_output=True)
            return b"idle" in done.stdout

        wait_until(ready, lambda: (folder / "slurmctld.log").read_text() + (folder / "slurmd.log").read_text())
        yield made


def test_a_worker_under_slurm_gives_its_job_back_when_it_is_ended(slurm, pulled, tmp_path):
    """One `sbatch` starts a worker, scancel ends it; a second one has USR1 ahead of its limit; a third ends the job."""
    key = tmp_path / "worker.key"
    key.write_text(pulled.state.keys.create_worker(), encoding="ascii")
    key.chmod(0o600)
    told = {
        "ATTNSCOPE_SERVICE": pulled.url,
        "ATTNSCOPE_KEY_FILE": str(key),
        "ATTNSCOPE_STORES": str(pulled.settings.data_root),
        "ATTNSCOPE_IDLE_MINUTES": "0.05",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    slurm.environment |= told

    def begun() -> str:
        return slurm.said("sbatch", "--parsable", "--export=ALL", "--cpus-per-task=1", str(SCRIPT))

    with attnscope.connect(pulled.url, pulled.key) as client:
        steps = 3000
        job = client.submit(checkpoint="AD-darkroom", tasks={"split": "test", "indices": [2]}, steps=steps)

        def committed() -> int:
            return job.refresh().info.progress.steps_committed

        first = begun()
        wait_until(committed, lambda: slurm.output(first))
        slurm.said("scancel", first)
        wait_until(lambda: job.refresh().state is JobState.QUEUED, lambda: slurm.output(first))
        assert pulled.state.jobs.get(job.id).interruptions == 0
        assert "worker drains" in slurm.output(first)
        after_first = committed()

        second = begun()
        wait_until(lambda: committed() > after_first, lambda: slurm.output(second))
        slurm.said("scancel", "--batch", "--signal=USR1", second)  # as Slurm does ahead of the time limit
        wait_until(lambda: job.refresh().state is JobState.QUEUED, lambda: slurm.output(second))
        wait_until(lambda: slurm.state(second) == "PENDING", lambda: slurm.output(second))  # Slurm has queued it again
        slurm.said("scancel", second)

        third = begun()
        wait_until(lambda: job.refresh().state.final, lambda: slurm.output(third))
        assert job.state is JobState.SUCCEEDED, slurm.output(third)
        wait_until(lambda: slurm.state(third) in {"COMPLETED", ""}, lambda: slurm.output(third))  # no job came for long
    reader = CaptureReader.open(capture_path(pulled.settings.data_root, str(job.id)))
    assert (reader.steps_committed, reader.complete, reader.attributes["attempt"]) == (steps, True, 3)
    seen = slurm.output(first) + slurm.output(second) + slurm.output(third)
    assert key.read_text(encoding="ascii") not in seen + SCRIPT.read_text(encoding="utf-8")
