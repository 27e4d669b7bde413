"""The part of zarr's store interface that every read-only store of ours answers in the same way."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype


class ReadOnlyStore(Store, ABC):
    """A Zarr store that refuses every write; a subclass says how keys are read and listed.

    Raises
    ------
    ValueError
        From a write, as zarr's own stores raise it.
    """

    def __init__(self) -> None:
        super().__init__(read_only=True)

    def with_read_only(self, read_only: bool = False) -> Store:
        """Return the store itself, which is read-only.

        Raises
        ------
        ValueError
            A writable one is asked for.
        """
        if not read_only:
            raise ValueError("a store of commits is only read; there is no writable one")
        return self

    @property
    def supports_writes(self) -> bool:
        """Never."""
        return False

    @property
    def supports_deletes(self) -> bool:
        """Never."""
        return False

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write."""
        raise ValueError(f"{key} ({len(value)} bytes): a store of commits is only read")

    async def delete(self, key: str) -> None:
        """Refuse to delete."""
        raise ValueError(f"{key}: a store of commits is only read")

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of several keys."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]
