"""The validation tasks of a job are the checkpoint's own, where its preset has none."""

from __future__ import annotations

import pytest

from attnscope_env import LISTED
from attnscope_model.checkpoints.registry import CheckpointRegistry
from attnscope_server.capturing.resolving import resolve
from attnscope_server.errors import ProblemError
from attnscope_storage.wire import CaptureSpec

SHIPPED = "AD-absolute-darkroom-reference-seed0@6000"


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> CheckpointRegistry:
    """Return a registry of the shipped checkpoints."""
    registry = CheckpointRegistry(tmp_path_factory.mktemp("checkpoints"))
    registry.add_shipped()
    return registry


def test_validation_names_the_tasks_of_the_checkpoints_entry(registry):
    """Index, split and place are those of the entry's list; none is called held-out."""
    spec = CaptureSpec(checkpoint=SHIPPED, tasks={"split": "validation", "indices": [1, 0]}, steps=8)
    resolved = resolve(spec, registry, LISTED)
    named = registry.get(SHIPPED).validation_tasks
    assert [(cell.index, cell.split, cell.split_index) for cell in resolved.tasks] == [
        (named[1], "validation", 1),
        (named[0], "validation", 0),
    ]
    assert resolved.held_out is False


def test_a_checkpoint_that_names_no_validation_tasks_has_none(registry):
    """The request is refused, and the refusal says that the split is empty and which ones are not."""
    name = next(
        info.name for info in registry.list() if not info.validation_tasks and info.preset.startswith("darkroom")
    )
    with pytest.raises(
        ProblemError, match="'validation' split of darkroom-reference is empty; splits with tasks: train, test, all"
    ):
        resolve(CaptureSpec(checkpoint=name, tasks={"split": "validation"}, steps=8), registry, LISTED)
