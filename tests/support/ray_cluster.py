"""A Ray cluster on this machine for tests: a head without slots and nodes of one core each, in a process of its own.

Run as a program it holds the cluster, adds a node for each line of its input, and ends the cluster with its input.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

OBJECT_BYTES = 80 * 2**20
"""The smallest store of objects that Ray takes."""

TOKEN = "a-token-of-the-tests-" + "0" * 43
"""Token that the cluster asks for."""


@dataclass
class RayCluster:
    """A cluster that runs."""

    process: subprocess.Popen[str]
    address: str

    def add_node(self) -> None:
        """Add a node with one core."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("node\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "added\n"

    def nodes(self) -> list[psutil.Process]:
        """Return the raylets of the nodes that give slots, the oldest first."""
        raylets = [one for one in self._processes() if _name(one) == "raylet"]
        return sorted(raylets, key=lambda one: (one.create_time(), one.pid))[1:]

    def actors(self) -> list[psutil.Process]:
        """Return the processes of the actors."""
        return [one for one in self._processes() if _name(one).startswith("ray::WorkerActor")]

    def kill_node(self, node: psutil.Process, *, spare: tuple[psutil.Process, ...] = ()) -> None:
        """Kill a raylet and whatever it started, but for the processes to spare."""
        for one in [*node.children(recursive=True), node]:
            if one not in spare:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()

    def kill_head(self) -> None:
        """Kill what knows of all nodes and actors."""
        for one in self._processes():
            if _name(one) == "gcs_server":
                one.kill()

    def pause_node(self, node: psutil.Process) -> list[psutil.Process]:
        """Stop a raylet and whatever it started; return what to resume."""
        stopped = [*node.children(recursive=True), node]
        for one in stopped:
            one.suspend()
        return stopped

    def _processes(self) -> list[psutil.Process]:
        return [one for one in psutil.Process(self.process.pid).children(recursive=True) if one.is_running()]


def token_environment(folder: Path) -> dict[str, str]:
    """Return the environment variables of a process that has the token."""
    path = folder / "token"
    path.write_text(TOKEN)
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}


def service_on(cluster: RayCluster, token: dict[str, str]) -> dict[str, str]:
    """Return the environment variables of a service whose jobs run on a cluster that asks for this token."""
    return token | {
        "ATTNSCOPE_SERVER_RUNNERS": "ray",
        "ATTNSCOPE_SERVER_RAY_ADDRESS": cluster.address,
        "ATTNSCOPE_SERVER_ALIVE_SECONDS": "1",
        "ATTNSCOPE_SERVER_LEASE_SECONDS": "25",
    }


@contextlib.contextmanager
def ray_cluster(environment: dict[str, str], nodes: int = 2) -> Iterator[RayCluster]:
    """Run a cluster whose processes have these environment variables besides this process's own."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment | {"RAY_USAGE_STATS_ENABLED": "0"},
        start_new_session=True,
    )
    children: list[psutil.Process] = []
    try:
        assert process.stdout is not None
        cluster = RayCluster(process, process.stdout.readline().strip())
        assert cluster.address, "the cluster did not start"
        for _ in range(nodes):
            cluster.add_node()
        yield cluster
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(process.pid).children(recursive=True)
        for one in [*children, process]:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                one.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        line = process.cmdline()
        return Path(line[0].split(" ")[0]).name if line else ""
    return ""


def main() -> None:
    """Hold a cluster until the input ends."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - only this process loads Ray

    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    options = {"object_store_memory": OBJECT_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **options})
    print(cluster.address, file=said, flush=True)
    for _ in sys.stdin:
        cluster.add_node(num_cpus=1, **options)
        print("added", file=said, flush=True)
    os.kill(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
