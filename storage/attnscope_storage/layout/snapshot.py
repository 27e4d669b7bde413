"""The contents of one root document: every committed shape, at one moment.

Parses bytes that may come from another machine, so it believes nothing: an array's document must be exactly what the
schema writes (then its name, dtype, shape and chunks are all there is to know), and names are only what a schema uses.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from attnscope_storage.errors import CaptureNotFoundError, ChunkDamagedError, SchemaVersionError
from attnscope_storage.layout.chunks import chunk_key, indices
from attnscope_storage.layout.keys import Committed, Located, Metadata, StoredArray, is_name, locate
from attnscope_storage.layout.root import ROOT_KEY, Document, array_node, document_bytes, group_document
from attnscope_storage.layout.store_schema import FIRST_KIND, KIND_NAME

KNOWN_SCHEMAS: Final = frozenset({1, 2})
"""Schema versions that this version reads."""

MAX_CHUNK_BYTES: Final = 2**31
"""Decoded bytes of a chunk, at most: a reader allocates that much."""

_DTYPES: Final = frozenset({"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8"})
_CAPTURE_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Root:
    """A parsed root document. Make one with `Root.parse`."""

    stored: bytes
    """The document, as it is stored."""
    attributes: Mapping[str, Any]
    nodes: Mapping[str, Document]
    """Every array's and group's document by its path."""
    arrays: Mapping[str, StoredArray]

    def __reduce__(self) -> tuple[Callable[[bytes], Root], tuple[bytes]]:
        """Pickle the document as it is stored."""
        return Root.parse, (self.stored,)

    @classmethod
    def parse(cls, stored: bytes) -> Root:
        """Return what a root document says.

        Raises
        ------
        CaptureNotFoundError
            It is a Zarr document, but no capture's.
        SchemaVersionError
            A capture of a schema that this version does not read.
        ChunkDamagedError
            It is not what a writer of its schema writes.
        """
        try:
            document = json.loads(stored)
        except (ValueError, RecursionError) as error:
            raise ChunkDamagedError(f"the root document is no JSON: {error}") from error
        attributes = document.get("attributes") if isinstance(document, dict) else None
        version = attributes.get("attnscope_schema") if isinstance(attributes, dict) else None
        if not isinstance(attributes, dict) or not isinstance(version, int):
            raise CaptureNotFoundError("this is a Zarr group, but no capture: it has no attribute attnscope_schema")
        if version not in KNOWN_SCHEMAS:
            raise SchemaVersionError(f"schema {version}; this version of attnscope reads {sorted(KNOWN_SCHEMAS)}")
        try:
            _check_attributes(attributes)
            nodes: dict[str, Document] = document["consolidated_metadata"]["metadata"]
            arrays = {name: _array(name, node) for name, node in nodes.items() if node["node_type"] != "group"}
            for name in nodes.keys() - arrays.keys():
                _require(is_name(name) and nodes[name] == group_document({}), f"expected a plain group at {name!r}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ChunkDamagedError(f"the root document is not what schema {version} writes: {error}") from error
        return cls(stored, attributes, nodes, arrays)

    @property
    def schema_version(self) -> int:
        """Version of the schema that wrote the capture."""
        return int(self.attributes["attnscope_schema"])

    @property
    def kind(self) -> str:
        """Kind of job that it holds; the first captures did not say so."""
        return str(self.attributes.get("kind", FIRST_KIND))

    @property
    def steps_committed(self) -> int:
        """Environment steps, or a trial's conditions, that every growing array holds."""
        return int(self.attributes["steps_committed"])

    @cached_property
    def _by_node(self) -> dict[str, StoredArray | None]:
        return {name: self.arrays.get(name) for name in self.nodes}

    def locate(self, key: str) -> Located:
        """Say what a store key means, without a look at the store."""
        return locate(key, self._by_node)

    def metadata_keys(self) -> list[str]:
        """Return the keys of every document, the root's first."""
        return [ROOT_KEY, *(f"{name}/{ROOT_KEY}" for name in sorted(self.nodes))]

    def chunk_keys(self) -> Iterator[str]:
        """Yield the keys of every committed chunk."""
        for array in self.arrays.values():
            for index in indices(array.grid):
                yield chunk_key(array.name, index)

    def node_bytes(self, key: str) -> bytes:
        """Return the document at a key of `metadata_keys`, as the writer stores it."""
        return self.stored if key == ROOT_KEY else document_bytes(self.nodes[key.removesuffix(f"/{ROOT_KEY}")])

    def metadata_bytes(self, key: str) -> bytes | None:
        """Return the document at a key as it should be served, or None where the key names no document.

        A group carries its arrays inline, so that a reader that cannot list folders still finds them.
        """
        located = self.locate(key)
        if not isinstance(located, Metadata):
            return None
        if located.node in self.arrays or not located.node:
            return self.node_bytes(key)
        prefix = f"{located.node}/"
        below = {name.removeprefix(prefix): node for name, node in self.nodes.items() if name.startswith(prefix)}
        return document_bytes(group_document({}, below))

    def is_full(self, chunk: Committed) -> bool:
        """Return whether no later commit adds to a committed chunk, so that its bytes never change."""
        return bool(self.attributes["complete"]) or chunk.array.is_full(chunk.index[0])

    def etag(self, key: str) -> str | None:
        """Return a strong ETag, quotes included, for a document or a full chunk, else None.

        A full chunk's needs no read: it never changes, and no other capture has this one's id. A chunk that later
        commits add to has none here; its bytes tell.
        """
        located = self.locate(key)
        if isinstance(located, Committed):
            return f'"{self.attributes["capture_id"]}/{key}"' if self.is_full(located) else None
        document = self.metadata_bytes(key)
        return None if document is None else f'"{hashlib.sha256(document).hexdigest()[:32]}"'


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    for name in ("steps_committed", "steps_total", "flush_steps", "row_every"):
        _require(_is_count(attributes[name]), f"expected {name} to be a count, got {attributes[name]!r}")
    kind = attributes.get("kind", FIRST_KIND)
    named = isinstance(kind, str) and KIND_NAME.fullmatch(kind) is not None
    _require(named, f"expected the name of a kind of job, got {kind!r}")
    _require(isinstance(attributes["complete"], bool), "expected complete to be true or false")
    capture_id = attributes["capture_id"]
    _require(isinstance(capture_id, str) and _CAPTURE_ID.fullmatch(capture_id) is not None, "no capture_id")


def _array(name: str, node: Document) -> StoredArray:
    _require(is_name(name), f"expected an array's name, got {name!r}")
    dtype, shape, dims = node["data_type"], node["shape"], node["dimension_names"]
    chunks = node["chunk_grid"]["configuration"]["chunk_shape"]
    _require(isinstance(dtype, str) and dtype in _DTYPES, f"{name}: dtype {dtype!r}")
    _require(bool(shape) and all(map(_is_count, shape)), f"{name}: shape {shape!r}")
    _require(len(chunks) == len(shape) and all(_is_count(c) and c > 0 for c in chunks), f"{name}: chunks {chunks!r}")
    _require(len(dims) == len(shape) and all(isinstance(d, str) and is_name(d) for d in dims), f"{name}: dims {dims!r}")
    size = math.prod(chunks) * np.dtype(dtype).itemsize
    _require(size <= MAX_CHUNK_BYTES, f"{name}: a chunk of {size} bytes, more than {MAX_CHUNK_BYTES}")
    attributes = node["attributes"]
    _require(isinstance(attributes, dict), f"{name}: attributes {attributes!r}")
    expected = array_node(shape=shape, dtype=dtype, chunks=chunks, dims=dims, attributes=attributes)
    _require(node == expected, f"{name}: expected {expected}, got {node}")
    return StoredArray(name, dtype, tuple(dims), tuple(shape), tuple(chunks), attributes)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
