"""``hf://org/repository@revision``: the name of a model repository on the Hub, at one commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from attnscope_server.errors import HubRefusedError

SCHEME: Final = "hf://"

_PART: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_SOURCE: Final = re.compile(rf"hf://(?P<owner>{_PART})/(?P<name>{_PART})@(?P<revision>[0-9a-f]{{40}})")


@dataclass(frozen=True)
class HubSource:
    """A repository at a commit."""

    owner: str
    name: str
    revision: str
    """40 hexadecimal digits; a branch or a tag could mean other bytes tomorrow."""

    def __str__(self) -> str:
        return f"{SCHEME}{self.owner}/{self.name}@{self.revision}"


def hub_source(text: str) -> HubSource | None:
    """Return the repository that a source names, None where it is a path.

    Raises
    ------
    HubRefusedError
        It begins with ``hf://`` and is no repository at a commit.
    """
    if not text.startswith(SCHEME):
        return None
    found = _SOURCE.fullmatch(text)
    if found is None or any(".." in part or "--" in part for part in (found["owner"], found["name"])):
        raise HubRefusedError(
            f"expected hf://OWNER/NAME@COMMIT with the commit's 40 hexadecimal digits, got {text[:120]!r}: a branch "
            "or a tag is not taken, as it may mean other bytes tomorrow"
        )
    return HubSource(**found.groupdict())
