"""One report or one advice over HTTP in a process of its own; prints its bytes, seconds and memory as JSON.

`python wide_client.py SOURCE CAPTURE report|recommend OUT` uses the packages of the checkout SOURCE.
"""

from __future__ import annotations

import importlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SERVE = """
import importlib, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
server = importlib.import_module("tests.client.conftest").FakeService(Path(sys.argv[2]))
print(server.url, flush=True)
server.serve_forever()
"""
"""Serves a capture as the tests do; an argument is the checkout, so that either code meets its own service."""


def of_either(name: str) -> Any:  # noqa: ANN401 - a module of the checkout's own
    """Return a module of the client's connections, which older checkouts have at the root of the package."""
    try:
        return importlib.import_module(f"attnscope.connecting.{name}")
    except ModuleNotFoundError:
        return importlib.import_module(f"attnscope.{name}")


def counting(url: str) -> Any:  # noqa: ANN401 - a class of the checkout's own
    """Return a transport that counts the bytes of every answer."""
    transport, connection = of_either("transport").Transport, of_either("connection").Connection

    class Counted(transport):  # type: ignore[misc, valid-type]  # of the checkout that is measured
        received = 0

        def request(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the transport's
            answer = super().request(*arguments, **options)
            self.received += len(answer.body)
            return answer

    return Counted(connection(url, "right-key", "the benchmark"))


def main(source: str, capture: str, verb: str, out: str) -> None:
    """Run the verb and print what it took."""
    importlib.import_module("matplotlib").use("agg")
    report = importlib.import_module("attnscope.report").write_report
    recommend = importlib.import_module("attnscope").recommend
    served = subprocess.Popen(
        [sys.executable, "-c", SERVE, source, capture], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert served.stdout is not None
    try:
        counted = counting(served.stdout.readline().strip())
        opened = importlib.import_module("attnscope.service").Service(counted).job("last").capture()
        began, cpu = time.perf_counter(), time.process_time()
        files = [path.name for path in report(opened, Path(out))] if verb == "report" else [recommend(opened).text]
        spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - began, "bytes": counted.received}
    finally:
        served.terminate()
        served.wait()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({**spent, "peak_mib": peak, "files": files if verb == "report" else []}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
