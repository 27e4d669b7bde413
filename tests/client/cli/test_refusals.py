"""Odd arguments end in our own words and the documented status; no library's text and no traceback is shown."""

from __future__ import annotations

import shlex

import pytest

ODD = {
    "heatmap --env 7": 7,
    "heatmap --capture {stored} --env 7": 7,
    "heatmap --capture {stored} --env x": 2,
    "heatmap --capture {stored} --step -3": 7,
    "heatmap --capture {stored} --step 100000": 7,
    "heatmap --capture {stored} --format gif": 2,
    "heatmap --capture {stored} --out {stored}/zarr.json": 1,
    "influence --env 7": 7,
    "influence --step 0": 7,
    "influence --step 99999": 7,
    "influence --positions odd": 2,
    "keep last --days 1e300": 2,
    "keep last --days nan": 2,
    "keep last --days -1": 2,
    "list --limit 0": 2,
    "list --state odd": 2,
    "submit --checkpoint a --episodes 0": 2,
    "submit --checkpoint a --seeds 3-1": 2,
    "submit --checkpoint a --env-kwarg a": 2,
    "submit --checkpoint a --steps 5 --episodes 5": 1,
    "trial --checkpoint a --strategy recency --budget 0": 1,
    "trial --checkpoint a --strategy '{{\"name\": 5}}' --budget 8": 2,
    "trial --checkpoint a --strategy recency --budget 8 --positions odd": 1,
    "trial --checkpoint a --strategy recency --budget 8 --margin 7": 2,
    "trial --from-report nowhere": 1,
    "trial --from-report odd.json": 1,
    "fetch --out {stored}": 1,
    "fetch --npz --out nowhere/deep/file.npz": 1,
    "summary zz": 7,
    "summary --capture nowhere": 7,
    "summary --capture {stored}/zarr.json": 7,
    "recommend --capture {stored} --envs 9": 7,
    "recommend --capture {stored} --goal 1,1": 7,
    "recommend --capture {stored} --budget 7": 2,
    "recommend --capture {stored} --out {stored}/zarr.json": 1,
    "recommend --trial nowhere": 7,
    "report --capture {stored} --envs 9 --out r": 7,
    "report --capture {stored} --heatmaps -1": 2,
    "report --trial {stored}": 7,
    "compare --capture {stored}": 2,
    "import nowhere.pkl": 1,
    "cancel": 2,
    "cancel last --all": 2,
    "delete --all --label x last": 2,
    "list --key abc": 2,
    "list --key-file nowhere": 5,
    "list --url ftp://x": 5,
    "list --url http://127.0.0.1:1 --key-file odd.json": 5,
    "odd": 2,
}  # fmt: skip
ADVICE = """{"checkpoint": "a", "environment": "b", "recommendations":
[{"key": "a", "positions": "keep", "budget": 0.5, "strategy": {"name": 5}}]}"""
FOREIGN = (
    "Traceback", "pydantic", "Value error,", "numpy", "zarr.errors", "Errno", "Usage:", "Invalid value", "Input should",
    "Missing ", "No such option", "No such command", "Got unexpected", "is not permitted",
)  # fmt: skip


@pytest.mark.parametrize("line", ODD)
def test_an_odd_argument_is_refused_in_words(command, stored, tmp_path, line):
    """The status is the documented one, and the text is a sentence of ours."""
    (tmp_path / "odd.json").write_text(
        '{"recommendations": [{"key": "a", "positions": "keep", "strategy": {"name": 5}}]}'
    )
    said = command(*shlex.split(line.format(stored=stored)))
    assert said.status == ODD[line], said.err
    assert said.err.startswith("error: ")
    if "http://127.0.0.1:1" not in line:
        assert [word for word in FOREIGN if word in said.err + said.out] == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("list --limit 0", "error: --limit: expected at least 1, got '0' (see: attnscope list --help)"),
        ("list --limit x", "error: --limit: expected a whole number, got 'x' (see: attnscope list --help)"),
        ("heatmap --env 1.5", "error: --env: expected a whole number, got '1.5' (see: attnscope heatmap --help)"),
        ("submit", "error: --checkpoint is needed (see: attnscope submit --help)"),
        ("keep", "error: JOB is needed (see: attnscope keep --help)"),
        ("lst", "error: there is no verb 'lst'; did you mean list? (see: attnscope --help)"),
        ("list --limits 3", "error: there is no option --limits; did you mean --limit? (see: attnscope list --help)"),
        ("list --limit", "error: --limit needs a value behind it"),
        ("list --json=3", "error: --json takes no value"),
        ("list a b", "error: too many arguments: (a b) (see: attnscope list --help)"),
        ("--url http://127.0.0.1:1", "error: name a verb (see: attnscope --help)"),
    ],
)
def test_wrong_usage_is_said_in_our_words(command, line, words):
    """The option or argument, the value that was expected and the one that came; status 2."""
    said = command(*shlex.split(line))
    assert (said.status, said.err.strip()[: len(words)]) == (2, words)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "needs: pip install socksio"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE"),
        ("HTTPS_PROXY", "odd://127.0.0.1:1", "HTTPS_PROXY"),
    ],
)
def test_an_environment_that_no_connection_can_follow_is_said(command, monkeypatch, variable, value, words):
    """A proxy or certificate that cannot be used is a sentence which names the variable; status 5."""
    if variable == "ALL_PROXY":
        monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    monkeypatch.setenv(variable, value)
    said = command("list", "--url", "https://service.invalid")
    assert said.status == 5, said.err
    assert words in said.err


def test_addresses_of_version_6_in_no_proxy_do_no_harm(command, monkeypatch):
    """A list of exceptions as other tools write it is followed, or named in the refusal."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "localhost,::1,[fe80::1],fd00::/8")
    said = command("list", "--url", "https://service.invalid")
    assert said.status == 5
    assert said.err.startswith(("error: no answer from", "error: the connection to"))


def test_a_missing_package_is_named(command, monkeypatch):
    """A package that cannot be imported ends in its name."""
    monkeypatch.setitem(__import__("sys").modules, "attnscope.demo", None)
    said = command("demo")
    assert (said.status, "attnscope.demo" in said.err) == (1, True)
