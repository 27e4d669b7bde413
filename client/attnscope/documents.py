"""JSON documents of results, in which null stands where a number is not known."""

from __future__ import annotations

import json
import math
from typing import Any


def document(value: Any) -> str:  # noqa: ANN401 - anything JSON
    """Return a value as a JSON text; JSON itself has no word for a number that is not finite."""
    return json.dumps(_finite(value), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401 - anything JSON
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
