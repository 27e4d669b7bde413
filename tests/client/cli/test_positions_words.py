"""The positions of kept tokens, in the words of every verb that tries compression."""

from __future__ import annotations

import pytest

from attnscope.cli.verbs.jobs import stands


@pytest.mark.parametrize(
    ("positions", "said", "words"),
    [
        (["keep", "keep"], True, "kept tokens stand: keep"),
        (["keep"], False, "kept tokens stand: keep (the default of learned absolute positions in a stateless context"),
        (["reindex"], False, "kept tokens stand: reindex (the default of policies without learned absolute positions"),
        (["reindex", "keep"], False, "kept tokens stand: reindex or keep (the screen chooses"),
        ([], False, "kept tokens stand: as they are"),
    ],
)
def test_a_default_is_told_from_what_was_said(positions, said, words):
    """A policy that was not named comes with its reason, and with the option that says otherwise."""
    found = stands(positions, stated=said)
    assert found.startswith(words)
    assert ("--positions says otherwise" in found) == (not said and bool(positions))
