"""The widget in JupyterLab, driven in a real Chromium: it runs, and its picture stands in the saved notebook.

JupyterLab is installed apart (`make slow` does it), because it is larger than all that attnscope needs.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PROGRAM = "ATTNSCOPE_JUPYTERLAB"
"""Variable with the path of the program ``jupyter-lab``."""

PATIENCE = 120
"""Seconds for what JupyterLab does first."""

TOKEN = "a-fixed-token"  # noqa: S105 - of a server that lives as long as the test

STILL = (
    "const one = document.querySelector('.jp-RenderedImage img'); return one?.checkVisibility() ? one.naturalWidth : 0"
)
"""Pixels that the saved picture is wide, 0 where it is not seen; asked at once, because JupyterLab draws anew."""

pytestmark = [pytest.mark.slow, pytest.mark.notebook]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def lab(work: Path, *options: str, **variables: str) -> Iterator[str]:
    """Run JupyterLab on a folder; yield the address of the notebook in it."""
    program = os.environ.get(PROGRAM)
    if program is None:
        pytest.fail(f"set {PROGRAM} to the path of jupyter-lab; make slow installs one", pytrace=False)
    port = free_port()
    command = [program, "--no-browser", "--allow-root", f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"]
    with (work / "lab.log").open("a") as log:
        process = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={work}", *options],
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{port}/lab/tree/book.ipynb?token={TOKEN}&reset"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its kernels too: asked politely, it waits for their connections
            process.wait()


def opened(chrome, address: str) -> None:
    """Open a notebook in JupyterLab, as soon as it answers."""

    def there(_driver) -> bool:
        chrome.get(address)
        return "jupyter-config-data" in chrome.page_source

    WebDriverWait(chrome, PATIENCE, 1, ignored_exceptions=[WebDriverException]).until(there)
    WebDriverWait(chrome, PATIENCE).until(lambda _: chrome.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-Cell"))


def press(chrome, held: str, key: str) -> None:
    """Press two keys in the cell's editor: within the page the notebook's own keys rest."""
    editor = chrome.find_element(By.CSS_SELECTOR, ".jp-Cell .cm-content")
    ActionChains(chrome).click(editor).key_down(held).send_keys(key).key_up(held).perform()


def runs(chrome) -> bool:
    """Run the cell, unless it runs; JupyterLab takes no key before its kernel is there."""
    prompt = chrome.find_element(By.CSS_SELECTOR, ".jp-InputPrompt").text
    if prompt.strip("[]: ") == "":
        press(chrome, Keys.SHIFT, Keys.ENTER)
        return False
    return True


@pytest.fixture(scope="module")
def work(tmp_path_factory, planted) -> Path:
    """Return a folder with a notebook whose cell shows a capture, and with a kernel of this Python."""
    folder = tmp_path_factory.mktemp("lab")
    source = f"import attnscope\n\nattnscope.open({str(planted())!r}).look(step=30, height=500)"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    book.metadata["kernelspec"] = {"name": "ours", "display_name": "ours", "language": "python"}
    nbformat.write(book, folder / "book.ipynb")
    kernel = folder / "share" / "kernels" / "ours"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "ours", "language": "python"}))
    return folder


def test_the_page_runs_in_a_cell_and_its_picture_stays(work, chrome):
    """The step moves by a key; saved and opened without a kernel, the notebook shows the picture."""
    inside = "return document.querySelector('.attnscope-look')?.shadowRoot.querySelector('#heads-title')?.textContent"
    with lab(work, JUPYTER_PATH=str(work / "share")) as address:
        opened(chrome, address)
        again = [StaleElementReferenceException]  # JupyterLab draws its cell anew once the kernel is there
        WebDriverWait(chrome, PATIENCE, 3, ignored_exceptions=again).until(lambda _: runs(chrome))
        WebDriverWait(chrome, PATIENCE).until(lambda _: chrome.execute_script(inside) == "Heads at step 30")
        assert not chrome.find_element(By.CSS_SELECTOR, ".jp-RenderedImage img").is_displayed()
        host = chrome.find_element(By.CSS_SELECTOR, ".attnscope-look")
        host.shadow_root.find_element(By.CSS_SELECTOR, "#band").send_keys(Keys.ARROW_RIGHT)
        WebDriverWait(chrome, PATIENCE).until(lambda _: chrome.execute_script(inside) == "Heads at step 31")
        press(chrome, Keys.CONTROL, "s")
        WebDriverWait(chrome, PATIENCE).until(lambda _: "image/png" in (work / "book.ipynb").read_text())
        chrome.get("about:blank")
    none = ("--KernelSpecManager.ensure_native_kernel=False", "--KernelSpecManager.allowed_kernelspecs=none")
    with lab(work, *none) as address:
        opened(chrome, address)
        WebDriverWait(chrome, PATIENCE).until(lambda _: chrome.execute_script(STILL) > 100)
        chrome.get("about:blank")
