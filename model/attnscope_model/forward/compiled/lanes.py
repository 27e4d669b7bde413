"""Sixteen float32 at once for compiled kernels: a type of numba's, its arithmetic, and its way to and from memory.

LLVM keeps such values in the widest registers that the processor has, several of them where they are narrower, so a
kernel that is written in them decides by itself what stays in registers. A product and a sum may be joined into one
instruction; nothing else of the arithmetic is relaxed, so what is not a number stays so.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES: Final = 16
"""Numbers of a value."""

_NUMBA: Final[Any] = SimpleNamespace(
    insert=cgutils.get_or_insert_function, signature=signature, typed=infer_global, lowered=lower_builtin
)
"""Functions of numba's that have no types."""

_VECTOR: Final = ir.VectorType(ir.FloatType(), LANES)
_WORDS: Final = ir.VectorType(ir.IntType(32), LANES)
_JOINED: Final = ("contract",)
_PLACES: Final = ir.Constant(_WORDS, list(range(LANES)))


class Lanes(types.Type):
    """Numba's name for sixteen float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES_TYPE: Final = Lanes()


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    """Held as a vector of LLVM's."""

    def __init__(self, manager: Any, kind: Any) -> None:  # noqa: ANN401 - numba's own
        base: Any = super()
        base.__init__(manager, kind, _VECTOR)


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:  # noqa: ANN401 - numba's own
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index], inbounds=True)


def _splat(builder: Any, value: Any) -> Any:  # noqa: ANN401 - numba's own
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_WORDS, [0] * LANES))


def _constant(value: float) -> Any:  # noqa: ANN401 - numba's own
    return ir.Constant(_VECTOR, [value] * LANES)


def _called(builder: Any, word: str, *values: Any) -> Any:  # noqa: ANN401 - numba's own
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(values))
    return builder.call(_NUMBA.insert(builder.module, kind, f"llvm.{word}.v{LANES}f32"), values)


def _instruction(typed: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's own
    """Return what numba compiles to instructions; its types know neither the arguments nor the result."""
    return intrinsic(typed)


@_instruction
def load(_context: Any, array: Any, _index: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the sixteen numbers from an index of a one-dimensional array on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        place = _address(context, builder, signature.args[0], *values)
        return builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=4)

    return LANES_TYPE(array, types.intp), generate


@_instruction
def store(_context: Any, array: Any, _index: Any, value: Any) -> Any:  # noqa: ANN401 - numba's own
    """Write sixteen numbers to an array from an index on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        place = _address(context, builder, signature.args[0], *values[:2])
        builder.store(values[2], builder.bitcast(place, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_instruction
def every(_context: Any, array: Any, _index: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return one number of an array in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return _splat(builder, builder.load(_address(context, builder, signature.args[0], *values)))

    return LANES_TYPE(array, types.intp), generate


@_instruction
def spread(_context: Any, _value: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return a float32 in all lanes."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return _splat(builder, values[0])

    return LANES_TYPE(types.float32), generate


class _Pairs(AbstractTemplate):
    """Says that two values give a third."""

    def generic(self, args: Any, kws: Any) -> Any:  # noqa: ANN401 - numba's own
        """Return the signature, or None where the operands are others."""
        fits = not kws and args == (LANES_TYPE, LANES_TYPE)
        return _NUMBA.signature(LANES_TYPE, LANES_TYPE, LANES_TYPE) if fits else None


def _operator(function: Any, word: str) -> None:  # noqa: ANN401 - numba's own
    """Make an operator of Python's an instruction, lane by lane."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return getattr(builder, word)(*values, flags=_JOINED)

    _NUMBA.typed(function)(type(f"_{word}", (_Pairs,), {}))
    _NUMBA.lowered(function, LANES_TYPE, LANES_TYPE)(generate)


for _function, _word in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_function, _word)


@_instruction
def most(_context: Any, _one: Any, _other: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the larger of two, lane by lane; the second where the first is not a number."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return builder.select(builder.fcmp_ordered(">", *values), *values)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate


@_instruction
def zero_below(_context: Any, _value: Any, _least: Any, _judged: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the value, and 0 where `judged` is below `least`."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        value, least, judged = values
        return builder.select(builder.fcmp_ordered("<", judged, least), ir.Constant(_VECTOR, [0.0] * LANES), value)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE), generate


@_instruction
def root(_context: Any, _value: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the square root."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return _called(builder, "sqrt", *values)

    return LANES_TYPE(LANES_TYPE), generate


@_instruction
def magnitude(_context: Any, _value: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the value without its sign."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return _called(builder, "fabs", *values)

    return LANES_TYPE(LANES_TYPE), generate


@_instruction
def signed(_context: Any, _value: Any, _sign: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the first with the sign of the second."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return _called(builder, "copysign", *values)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate


@_instruction
def whole(_context: Any, _value: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the nearest whole number."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        return _called(builder, "rint", *values)

    return LANES_TYPE(LANES_TYPE), generate


@_instruction
def two_to(_context: Any, _value: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return 2 to a whole number from -126 to 127; anything to others."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        biased = builder.add(builder.fptosi(values[0], _WORDS), ir.Constant(_WORDS, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(_WORDS, [23] * LANES)), _VECTOR)

    return LANES_TYPE(LANES_TYPE), generate


@_instruction
def from_lane(_context: Any, _value: Any, _first: Any, _other: Any) -> Any:  # noqa: ANN401 - numba's own
    """Return the value in the lanes from `first` on, and another in those before."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
        value, first, other = values
        word = builder.trunc(first, ir.IntType(32))
        filled = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), word, ir.Constant(ir.IntType(32), 0))
        firsts = builder.shuffle_vector(filled, ir.Constant(_WORDS, ir.Undefined), ir.Constant(_WORDS, [0] * LANES))
        return builder.select(builder.icmp_signed(">=", _PLACES, firsts), value, other)

    return LANES_TYPE(LANES_TYPE, types.intp, LANES_TYPE), generate


def _reduced(word: str) -> Any:  # noqa: ANN401 - numba's own
    def typed(_context: Any, _value: Any) -> Any:  # noqa: ANN401 - numba's own
        def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:  # noqa: ANN401 - numba's own
            value, width = values[0], LANES
            while width > 1:  # halves are joined, always in the same order
                width //= 2
                rest = ir.Constant(_WORDS, [(lane + width) % LANES for lane in range(LANES)])
                moved = builder.shuffle_vector(value, ir.Constant(_VECTOR, ir.Undefined), rest)
                if word == "sum":
                    value = builder.fadd(value, moved)
                else:
                    value = builder.select(builder.fcmp_ordered(">", value, moved), value, moved)
            return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

        return types.float32(LANES_TYPE), generate

    return _instruction(typed)


total_of = _reduced("sum")
"""The sum of the lanes, a float32."""

largest_of = _reduced("largest")
"""The largest of the lanes, a float32."""
