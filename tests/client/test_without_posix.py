"""The laptop's half on a Python without POSIX modules, as on Windows: it imports, reads, imports files and draws."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HIDE = """
import os, sys
import platformdirs.unix  # chooses by the platform itself
for name in ("fcntl", "resource", "pwd", "grp", "termios", "posix_ipc", "syslog", "readline", "crypt", "pty", "tty"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "register_at_fork", "pread", "pwrite", "geteuid", "getuid", "getgid", "getegid",
             "fchmod", "fchown", "chown", "lchown", "statvfs", "mkfifo", "mknod", "sched_getaffinity", "nice", "killpg",
             "setsid", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "posix_fallocate",
             "posix_fadvise", "sync", "wait3"):
    if hasattr(os, name):
        delattr(os, name)
"""

EVERYTHING = """
import importlib, pkgutil
import attnscope, attnscope.errors, attnscope_storage, attnscope_model.strategies
for package in (attnscope, attnscope_storage, attnscope_model.strategies):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(module.name)
        except attnscope.errors.MissingPackageError as error:  # of an extra, where it is not installed
            print(error)
print("imported")
"""

READ = """
import pickle
capture = attnscope.open(sys.argv[1])
print(float(capture.rows[5, 0, 0, 0, 0]), attnscope.recommend(capture).text[:1] != "")
copy = pickle.loads(pickle.dumps(capture))
assert copy.steps_committed == capture.steps_committed
"""

IMPORT = """
from attnscope.cli import main
sys.argv = ["attnscope", "import", sys.argv[1], "--maps", "1"]
main()
"""

LOCK = """
from pathlib import Path
from attnscope_storage.errors import CaptureLockedError
from attnscope_storage.writing.lock import CaptureLock
path = Path(sys.argv[1])
lock = CaptureLock(path)
try:
    CaptureLock(path)
except CaptureLockedError as error:
    print("locked", "delete c.zarr.lock.held" in str(error))
lock.release()
lock.release()
CaptureLock(path).release()
"""


def run(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a program from which POSIX is hidden."""
    folders = os.pathsep.join(path for path in sys.path if path and Path(path).is_dir())
    environment = {**os.environ, "PYTHONPATH": folders, "MPLBACKEND": "Agg"}
    command = [sys.executable, "-c", HIDE + program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_every_module_of_the_laptop_imports():
    """Client, storage and strategies; the service needs POSIX and says so in its documents."""
    assert run(EVERYTHING).stdout.split()[-1] == "imported"


def test_a_downloaded_capture_is_read(stored):
    """Rows, advice and pickles work as elsewhere."""
    assert run("import attnscope\n" + READ, stored).stdout.split()[1] == "True"


def test_a_reference_file_is_imported(tmp_path):
    """The new capture is locked by another mechanism while it is written, and the lock ends with the writer."""
    import pickle  # noqa: PLC0415, TID251 - the file is one of the reference's

    steps = [[np.full((1, 2, n, n), 1 / n, np.float32) for _ in range(2)] for n in range(1, 7)]
    (tmp_path / "attention_history.pkl").write_bytes(pickle.dumps(steps))
    assert "wrote" in run(IMPORT, tmp_path / "attention_history.pkl").stdout
    assert (tmp_path / "attention_history.zarr" / "zarr.json").is_file()
    assert list(tmp_path.rglob("*.held")) == []


def test_a_second_writer_is_refused_without_flock(tmp_path):
    """The refusal says what to do where no writer runs any more."""
    assert run(LOCK, tmp_path / "c.zarr").stdout.split() == ["locked", "True"]


def test_the_probe_can_fail():
    """A program that needs a hidden module ends badly."""
    folders = os.pathsep.join(path for path in sys.path if path and Path(path).is_dir())
    environment = {**os.environ, "PYTHONPATH": folders}
    command = [sys.executable, "-c", HIDE + "import attnscope_server.root.data_root"]
    assert subprocess.run(command, capture_output=True, env=environment, check=False).returncode != 0
