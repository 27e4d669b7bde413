"""The few names of a pickle that mean something here, and our own reconstruction of each; every other is a stand-in.

A name is compared as text. `torch.load` and NumPy's reconstruction are not reached from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from attnscope_model.parsing import numbers
from attnscope_model.parsing.remedies import refuse
from attnscope_model.parsing.storages import storage_dtype
from attnscope_model.parsing.values import Array, Attributes, DType, Name, StandIn, Storage, StoredTensor, shown

MAX_NESTED: Final = 10_000
"""Storages that a plain pickle may hold as files within it; such a file may hold none itself."""

MAX_DIMENSIONS: Final = 32

_ARRAY_MODULES: Final = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC_MODULES: Final = ("numpy.core.numeric", "numpy._core.numeric")
_DICTIONARIES: Final = frozenset({"collections.OrderedDict", "builtins.dict", "__builtin__.dict"})
_NAMESPACES: Final = frozenset({"argparse.Namespace", "types.SimpleNamespace"})
_SEQUENCES: Final = frozenset(f"{module}.{kind}" for module in ("builtins", "__builtin__") for kind in ("set", "list"))


class Rebuilder:
    """Meaning of names for one file.

    Parameters
    ----------
    storage
        Returns the storage of a persistent id; None where the file has none.
    within
        Reads a torch file that the pickle holds as bytes; None where it may hold none.
    """

    def __init__(
        self,
        storage: Callable[[tuple[Any, ...]], Storage] | None,
        within: Callable[[bytes], object] | None = None,
    ) -> None:
        self._storage, self._within = storage, within
        self._nested_count = 0
        self.unknown: set[str] = set()

    def called(self, name: Name, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever a pickle holds
        """Return our own value for a call, or a stand-in."""
        if name.path == "torch.storage._load_from_bytes":
            return self._storage_within(arguments)
        if (known := _CALLS.get(name.path)) is not None:
            return known(arguments)
        if name.path in ("torch._tensor._rebuild_from_type_v2", "torch._tensor._rebuild_from_type"):
            return self._of_subclass(arguments)
        if name.path in ("copyreg._reconstructor", "copy_reg._reconstructor") and arguments:
            return self.made(arguments[0], ()) if isinstance(arguments[0], Name) else StandIn("object")
        return self.made(name, arguments)

    def made(self, name: Name, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as above
        """Return our own value for a new object of a plain class, or a stand-in."""
        if name.path in _NAMESPACES:
            return Attributes()
        if name.path in _DICTIONARIES:
            return _pairs(arguments)
        if name.path == "collections.defaultdict":
            return {}
        if name.path in _SEQUENCES:
            return list(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else []
        self.unknown.add(shown(name.path))
        return StandIn(shown(name.path))

    def built(self, target: object, state: object) -> None:
        """Give a NumPy array or dtype its state, and a plain namespace its attributes; all others take none."""
        if isinstance(target, DType):
            numbers.order_dtype(target, state)
        elif isinstance(target, Array):
            numbers.fill_array(target, state)
        elif isinstance(target, Attributes) and isinstance(state, dict):
            target.update((key, value) for key, value in state.items() if isinstance(key, str))

    def stored(self, identity: object) -> Storage:
        """Return the storage of a persistent id.

        Raises
        ------
        CheckpointUnreadableError
            The file has no storages, or the id names none.
        """
        match identity:
            case ("storage" | b"storage", *_) if self._storage is not None and isinstance(identity, tuple):
                return self._storage(identity)
            case _:
                raise refuse("it refers to something outside the pickle that is no storage of tensors")

    def _storage_within(self, arguments: tuple[Any, ...]) -> Storage:
        self._nested_count += 1
        if self._within is None or self._nested_count > MAX_NESTED:
            raise refuse("files within the file nest, or are too many")
        match arguments:
            case (bytes() as data,):
                found = self._within(data)
            case _:
                found = None
        if not isinstance(found, Storage):
            raise refuse("a file within the file that is no storage of tensors")
        return found

    def _of_subclass(self, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as above
        match arguments:
            case (Name() as function, _, tuple() as inner, *_) if function.path in _CALLS:
                return _CALLS[function.path](inner)
            case _:
                return StandIn("torch tensor subclass")


def _pairs(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return the dictionary of a list of pairs, as the oldest protocols write it."""
    match arguments:
        case (list() as pairs,) if all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004 - name and value
            return {name: value for name, value in pairs if isinstance(name, str | int)}
        case (dict() as found,):
            return dict(found)
        case _:
            return {}


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor | StandIn:
    """Return a view of a storage."""
    match arguments:
        case (Storage() as storage, int(offset), tuple() as size, tuple() as stride, *_):
            return _view(storage, storage.dtype, offset, size, stride)
        case _:
            return StandIn("torch tensor")


def _tensor_of_dtype(arguments: tuple[Any, ...]) -> StoredTensor | StandIn:
    """Return a view of a storage whose bytes are read as another dtype."""
    match arguments:
        case (Storage() as storage, int(offset), tuple() as size, tuple() as stride, _, _, Name() as kind, *_):
            return _view(storage, storage_dtype(kind), offset, size, stride)
        case _:
            return StandIn("torch tensor")


def _view(storage: Storage, kind: str, offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]) -> StoredTensor:
    numbers_of = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > MAX_DIMENSIONS:
        raise refuse("a tensor whose sizes and strides do not belong together")
    if not all(type(number) is int and 0 <= number < 2**63 for number in numbers_of):
        raise refuse("a tensor whose sizes, strides or offset are none")
    return StoredTensor(storage, kind, offset, size, stride)


def _parameter(arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - as above
    return arguments[0] if arguments and isinstance(arguments[0], StoredTensor) else StandIn("torch parameter")


def _of_numpy(arguments: tuple[Any, ...]) -> Array | StandIn:
    return arguments[0] if arguments and isinstance(arguments[0], Array) else StandIn("torch tensor")


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else ()


def _encoded(arguments: tuple[Any, ...]) -> bytes | StandIn:
    """Return bytes that a protocol without them wrote as text."""
    match arguments:
        case (str(text), "latin1" | "latin-1"):
            return text.encode("latin-1")
        case _:
            return StandIn("bytes")


def _bytes(arguments: tuple[Any, ...]) -> bytes:
    return arguments[0] if arguments and isinstance(arguments[0], bytes) else b""


_CALLS: Final[Mapping[str, Callable[[tuple[Any, ...]], Any]]] = MappingProxyType(
    {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._utils._rebuild_device_tensor_from_numpy": _of_numpy,
        "torch.Size": _size,
        "_codecs.encode": _encoded,
        "builtins.bytes": _bytes,
        "builtins.bytearray": _bytes,
        "numpy.dtype": numbers.dtype,
        **{f"{module}.scalar": numbers.scalar for module in _ARRAY_MODULES},
        **{f"{module}._reconstruct": numbers.blank for module in _ARRAY_MODULES},
        **{f"{module}._frombuffer": numbers.from_buffer for module in _NUMERIC_MODULES},
    }
)
