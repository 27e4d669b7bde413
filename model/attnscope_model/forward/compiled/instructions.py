"""Compilation by numba, and instructions on single float32 that numba has no functions for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(
    function: Function, signature: str | None = None, fastmath: bool | set[str] = True, *, kept: bool = True
) -> Function:
    """Return the function compiled, kept on disk where numba finds a place for it.

    Without a signature it is compiled for what it is first called with.
    """
    njit: Any = numba.njit
    options = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
    arguments = () if signature is None else (signature,)
    try:
        made: Function = njit(*arguments, cache=kept, **options)(function)
    except RuntimeError:  # numba's word for having no folder to write to
        made = njit(*arguments, **options)(function)
    return made


def lanewise(function: Function, signature: str | None = None) -> Function:
    """Return a function over lanes compiled: a product and a sum may be one instruction, and nothing else is relaxed.

    Only what has a signature is kept on disk; it holds the compiled code of all that it calls.
    """
    return compiled(function, signature, {"contract"}, kept=signature is not None)


def _instruction(generator: Function) -> Function:
    """Return what numba compiles to the instructions that `generator` gives."""
    made: Any = intrinsic
    instruction: Function = made(generator)
    return instruction


@_instruction
def power_of_two(_context: Any, _exponent: Any = None) -> Any:  # noqa: ANN401 - numba's own
    """2 to an int32, made of the bits of a float32; numba's integers would widen to 64 bits."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - numba's own
        word = ir.IntType(32)
        biased = builder.add(arguments[0], ir.Constant(word, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(word, 23)), ir.FloatType())

    return types.float32(types.int32), generate


_SQUARE_ROOT_OF_HALF: Final = 0x3F3504F3
"""The bits of √½: counted from there, a float32's exponent leaves a mantissa between √½ and √2."""


@_instruction
def exponent(_context: Any, _value: Any = None) -> Any:  # noqa: ANN401 - numba's own
    """Return the power of two in a float32, as a float32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - numba's own
        return builder.sitofp(_power(builder, builder.bitcast(arguments[0], ir.IntType(32))), ir.FloatType())

    return types.float32(types.float32), generate


@_instruction
def mantissa(_context: Any, _value: Any = None) -> Any:  # noqa: ANN401 - numba's own
    """Return what a float32 is without its power of two."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - numba's own
        word = ir.IntType(32)
        bits = builder.bitcast(arguments[0], word)
        shifted = builder.shl(_power(builder, bits), ir.Constant(word, 23))
        return builder.bitcast(builder.sub(bits, shifted), ir.FloatType())

    return types.float32(types.float32), generate


def _power(builder: Any, bits: Any) -> Any:  # noqa: ANN401 - numba's own
    word = ir.IntType(32)
    return builder.ashr(builder.sub(bits, ir.Constant(word, _SQUARE_ROOT_OF_HALF)), ir.Constant(word, 23))


@_instruction
def larger(_context: Any, _one: Any, _other: Any = None) -> Any:  # noqa: ANN401 - numba's own
    """Return the larger of two float32; a comparison of numba's is not vectorised in a reduction."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - numba's own
        single = ir.FloatType()
        function = builder.module.declare_intrinsic("llvm.maxnum", [single], ir.FunctionType(single, [single, single]))
        return builder.call(function, arguments, fastmath=("fast",))

    return types.float32(types.float32, types.float32), generate
