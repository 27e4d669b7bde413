"""Checks that given arrays, or a stored capture, fit a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from attnscope_storage.errors import SchemaMismatchError
from attnscope_storage.layout.root import document_bytes, root_document
from attnscope_storage.layout.snapshot import Root
from attnscope_storage.layout.store_schema import ArraySpec, Entries, StoreSchema

Static = Mapping[str, Shaped[np.ndarray, "..."]]


def checked_static(schema: StoreSchema, static: Static) -> list[tuple[ArraySpec, Entries]]:
    """Return the arrays that do not grow, in the dtypes of the schema.

    Raises
    ------
    ValueError
        They are not those of the schema.
    """
    specs = [spec for spec in schema.arrays.values() if spec.growth == "static"]
    names = {spec.name for spec in specs}
    if names != static.keys():
        raise ValueError(
            f"static arrays: missing {sorted(names - static.keys())}, not in the schema {sorted(static.keys() - names)}"
        )
    for spec in specs:
        values = static[spec.name]
        if values.shape != spec.shape or not np.can_cast(values.dtype, spec.dtype, casting="same_kind"):
            raise ValueError(f"{spec.name}: expected {spec.dtype}{spec.shape}, got {values.dtype}{values.shape}")
    return [(spec, static[spec.name].astype(spec.dtype)) for spec in specs]


def refuse_other_schema(root: Root, schema: StoreSchema) -> None:
    """Raise `SchemaMismatchError` unless the stored arrays are those of `schema`; descriptive attributes may differ."""
    if root.kind != schema.kind:
        raise SchemaMismatchError(f"what is stored here is a {root.kind}, no {schema.kind}")
    if root.schema_version != schema.version:
        raise SchemaMismatchError(
            f"written by schema {root.schema_version}; schema {schema.version} cannot continue it"
        )
    stored = dict(root.nodes)
    expected = root_document(schema, root.steps_committed, root.attributes)
    wanted: dict[str, Any] = json.loads(document_bytes(expected))["consolidated_metadata"]["metadata"]
    for name in sorted(stored.keys() | wanted.keys()):
        have, want = ({**nodes.get(name, {}), "attributes": None} for nodes in (stored, wanted))
        if have != want:
            raise SchemaMismatchError(f"{name}: the capture has {have}, its specification asks for {want}")
    for name in ("steps_total", "flush_steps", "row_every"):
        if root.attributes[name] != expected["attributes"][name]:
            have, want = root.attributes[name], expected["attributes"][name]
            raise SchemaMismatchError(f"{name}: the capture has {have}, its specification asks for {want}")
