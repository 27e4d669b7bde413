"""From a checkpoint's file to the page in one command, with a service, a worker and a replay that are real."""

from __future__ import annotations

import json
import os
import shlex
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import attnscope
from attnscope.page.running import ask_again, noted
from attnscope_storage.shades import from_u8
from page_browser import Browser, Standing, code_of

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
PROGRAM = [sys.executable, "-c", "from attnscope.cli import main; main()"]


@dataclass
class Looked:
    """A running ``attnscope look``."""

    process: subprocess.Popen[str]
    said: str
    browser: Browser
    folder: Path
    """Home and folder for temporary files of the program."""


@pytest.fixture(scope="module")
def looked(tmp_path_factory) -> Iterator[Looked]:
    """Return the command that a reader of the README runs, once its page stands, and a browser that entered."""
    folder = tmp_path_factory.mktemp("look")
    environment = os.environ | {"TMPDIR": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    environment |= {"ATTNSCOPE_SERVER_DURABLE": "false", "ATTNSCOPE_SERVER_THREADS": "1"}
    command = [
        *PROGRAM,
        "look",
        str(GOLDEN / "ckpt-causal.pt"),
        "--causal",
        "--tasks",
        "0",
        "--episodes",
        "3",
        "--no-browser",
        "--out",
        "kept.zarr",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, cwd=folder, **pipes) as process:
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Ctrl-C ends"):
                break
        assert "it works once: http://127.0.0.1:" in said, said
        link = said.partition("it works once: ")[2].split()[0]
        port = int(link.removeprefix("http://127.0.0.1:").partition("/")[0])
        browser = Browser(Standing(port, link.partition("&at=")[2]))
        assert browser.enter(code_of(link)).status == 200
        try:
            yield Looked(process, said, browser, folder)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert "show it again with: attnscope open kept.zarr" in process.stdout.read()
        finally:
            process.kill()  # a program whose starter ignores SIGINT ignores it too
    assert attnscope.open(folder / "kept.zarr").steps_committed == 60
    assert not list(folder.glob("attnscope-look-*")), "the service's root goes with the page"
    assert not list((folder / "state" / "attnscope").iterdir())


def whole(browser: Browser, seconds: float = 300) -> dict:
    """Follow the news until the capture is complete."""
    seen, until = "", time.monotonic() + seconds
    while time.monotonic() < until:
        news = browser.ask("/api/news", seen=seen).json()
        assert news["state"] not in {"failed", "cancelled"}, news
        if news["state"] == "complete":
            return news
        seen = news["mark"]
    raise AssertionError(news)


def frame(browser: Browser, path: str, **asked: object) -> tuple[dict, np.ndarray]:
    """Return a view's numbers and weights."""
    answer = browser.ask(path, **asked)
    assert answer.status == 200, answer.body
    (length,) = struct.unpack("<I", answer.body[:4])
    shades = np.frombuffer(answer.body[4 + length :], np.uint8)
    head = json.loads(answer.body[4 : 4 + length])
    return head, from_u8(shades.reshape(head["shape"]))


def test_one_command_leads_to_every_head_of_every_step(looked):
    """Rows of all heads sum to 1; a map that is not stored is replayed, and its last row is the decision row."""
    news = whole(looked.browser)
    about = looked.browser.ask().json()
    assert (news["committed"], about["title"], about["replays"]) == (60, "look", True)
    assert "mask stated by user" in about["source"]
    step = next(step for step in range(20, 60) if step not in about["mapSteps"])
    _, rows = frame(looked.browser, "/api/heads", env=0, step=step, kind="rows")
    assert rows.shape == (len(about["layers"]), len(about["heads"]), step + 1)
    assert np.abs(rows.sum(axis=-1) - 1).max() < 0.03
    told, maps = frame(looked.browser, "/api/heads", env=0, step=step, kind="maps")
    assert told["source"] == "replayed"
    assert np.nanmax(np.abs(maps[..., -1, :] - rows)) < 0.01
    band, means = frame(looked.browser, "/api/band", env=0, first=0, last=60)
    assert band["steps"] == list(range(60))
    assert np.abs(means[step, : step + 1] - rows.mean(axis=(0, 1))).max() < 0.01


def test_the_way_to_an_answer_is_not_through_this_service(looked):
    """This service ends with the page, and no other command finds it: the file goes into the user's own."""
    whole(looked.browser)
    commands = [shlex.split(command) for _, command in looked.browser.ask("/api/answer").json()["commands"]]
    starts = [["attnscope-server", "checkpoint", "add"], ["attnscope", "decide", "mine"]]
    assert [words[:3] for words in commands] == starts
    assert (commands[0][-1], "--causal" in commands[0]) == (str(GOLDEN / "ckpt-causal.pt"), True)


def test_no_key_is_in_the_command_line_the_output_or_the_files(looked):
    """The service's key is in the environment of its process alone; the link's code is printed, and used by now."""
    lines = [
        path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    ]
    ours = [line for line in lines if "look" in line or "attnscope" in line]
    code = code_of(looked.said)
    assert ours
    assert not [line for line in ours if code in line or "API_KEY" in line]
    assert Browser(looked.browser.server).enter(code).status == 401


def test_a_second_open_is_led_to_the_page_that_runs(looked):
    """The state file's own service answers; a link of it comes back."""
    (path,) = (looked.folder / "state" / "attnscope").glob("page-*.json")
    link = ask_again(noted(path), looked.browser.server.name)
    assert Browser(looked.browser.server).enter(code_of(link.address)).status == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([str(GOLDEN / "ckpt-causal.pt")], "causal"),
        (["no-such-policy", "--causal"], "there is no such file"),
    ],
)
def test_what_cannot_be_looked_at_is_a_sentence(words, said, tmp_path):
    """A file that leaves its mask open, a name that is none; status 1, one line."""
    done = subprocess.run(
        [*PROGRAM, "look", *words, "--no-browser"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
