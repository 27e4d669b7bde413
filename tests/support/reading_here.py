"""Reading checkpoint files in the process of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch

from attnscope_model.checkpoints import adoption, conversion
from attnscope_model.checkpoints.examined import examine_here
from attnscope_model.checkpoints.foreign import parse_here


@contextmanager
def reading_here() -> Iterator[None]:
    """Read checkpoint files in this process: a child takes seconds, and tests of parsing and of adoption start it."""

    def parse(source, folder, choice=None):
        with torch.inference_mode(mode=False):
            return parse_here(source, folder, choice)

    def examine(folder, name):  # noqa: ARG001 - the child names it in refusals
        with torch.inference_mode(mode=False):
            return examine_here(folder)

    with mock.patch.object(conversion, "parse_apart", parse), mock.patch.object(adoption, "examine_apart", examine):
        yield
