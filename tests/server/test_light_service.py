"""The service process stays away from torch: proved in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "loads"),
    [("attnscope_server.app, attnscope_server.root.verbs", "no"), ("attnscope_server.running.worker", "yes")],
)
def test_only_the_worker_loads_torch(module, loads):
    """The app, its routes, the operator's verbs and every kind of job import no torch; the worker does."""
    code = (
        f"import sys, {module}; from attnscope_server.kinds import kinds; assert kinds(); "
        "print('yes' if 'torch' in sys.modules else 'no')"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == loads


@pytest.mark.parametrize(
    ("more", "loads"),
    [("import attnscope_server.running.on_ray.runner", "none"), ("import psycopg", "psycopg")],
)
def test_one_machine_loads_no_package_of_a_cluster(more, loads):
    """App and runner of Ray come without Ray, psycopg, obstore or httpx; the probe sees a loaded one."""
    code = (
        f"import sys, attnscope_server.app, attnscope_server.cli; {more}\n"
        "attnscope_server.app.create_app(attnscope_server.settings.Settings())\n"
        "import gc; assert gc.isenabled(), 'the program collects no garbage'\n"
        "print(' '.join({'ray', 'psycopg', 'obstore', 'httpx'} & set(sys.modules)) or 'none')"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == loads
