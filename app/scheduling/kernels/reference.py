"""One address for all the arrays of a round, for compiled kernels.

A tuple of a hundred arrays is copied into every call and counted at every use, which cost the compiler minutes and a
round a third of its time. Compiled kernels get the address of a table instead: of each array of `State`, in the order
of its fields, where its data is and how long it is in each dimension. `state_at` makes of it what a kernel sees as
`st`; reading `st.free` reads the table, which never changes, so the compiler does that once and not in every turn of a
loop. Who calls keeps the arrays alive. Uncompiled kernels get the tuple itself.
"""

from typing import Any, get_type_hints

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model

from app.scheduling.kernels.borrowed import Borrowed
from app.scheduling.kernels.state import I64, State

KINDS = get_type_hints(State)
"""The declared type of each array: a kernel is compiled once more for every other."""
_DTYPES = {"int64": types.int64, "float64": types.float64, "uint8": types.uint8}
WORD = ir.IntType(64)


def dtype_of(name: str) -> Any:
    """The NumPy type of the elements of a field."""
    return KINDS[name].__args__[1].__args__[0]


def _fields() -> dict[str, tuple[int, Borrowed]]:
    """By field: its place in the table, and its type."""
    fields: dict[str, tuple[int, Borrowed]] = {}
    place = 0
    for name, dimensions in State.dimensions().items():
        fields[name] = (place, Borrowed(_DTYPES[np.dtype(dtype_of(name)).name], dimensions))
        place += 1 + dimensions
    return fields


FIELDS = _fields()


class StateType(types.Opaque):  # type: ignore[misc]
    """The compiled form of `State`."""

    def __init__(self) -> None:
        super().__init__(name="RoundState")


register_model(StateType)(models.OpaqueModel)


@infer_getattr
class _Fields(AttributeTemplate):  # type: ignore[misc]
    key = StateType

    def generic_resolve(self, _: Any, name: str) -> Any:
        return FIELDS[name][1] if name in FIELDS else None


@lower_getattr_generic(StateType)  # type: ignore[untyped-decorator]
def _lower_field(context: Any, builder: Any, _: Any, table: Any, name: str) -> Any:
    place, of_type = FIELDS[name]
    words = builder.bitcast(table, WORD.as_pointer())

    def word(at: int) -> Any:
        load = builder.load(builder.gep(words, [ir.Constant(WORD, at)]))
        load.set_metadata("invariant.load", builder.module.add_metadata([]))
        return load

    shape = [word(place + 1 + dimension) for dimension in range(of_type.ndim)]
    strides = [ir.Constant(WORD, context.get_abi_sizeof(context.get_data_type(of_type.dtype)))]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    count = shape[0]
    for length in shape[1:]:
        count = builder.mul(count, length)
    array = context.make_array(of_type)(context, builder)
    array.data = builder.inttoptr(word(place), context.get_data_type(of_type.dtype).as_pointer())
    array.shape = ir.ArrayType(WORD, of_type.ndim)(ir.Undefined)
    for dimension, length in enumerate(shape):
        array.shape = builder.insert_value(_raw(array, "shape"), length, dimension)
    array.strides = ir.ArrayType(WORD, of_type.ndim)(ir.Undefined)
    for dimension, stride in enumerate(strides):
        array.strides = builder.insert_value(_raw(array, "strides"), stride, dimension)
    array.itemsize = strides[-1]
    array.nitems = count
    array.meminfo = context.get_constant_null(types.voidptr)
    array.parent = context.get_constant_null(types.voidptr)
    return array._getvalue()


def _raw(array: Any, field: str) -> Any:
    return array._builder.load(array._get_ptr_by_name(field))


@intrinsic  # type: ignore[untyped-decorator]
def _state_at(typing_context: Any, address: Any) -> Any:
    result = StateType()

    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(result))

    return result(address), lower


def same(state: Any) -> Any:
    """What uncompiled kernels do instead of `state_at`: they get the tuple itself."""
    return state


state_at = same if numba.config.DISABLE_JIT else _state_at


def table_of(state: State) -> I64:
    """The table of a state, good for as long as the arrays live. Raises TypeError naming an array of a wrong kind."""
    words: list[int] = []
    for name, dimensions in State.dimensions().items():
        array = getattr(state, name)
        if array.ndim != dimensions or array.dtype != dtype_of(name) or not array.flags.c_contiguous:
            raise TypeError(f"{name} is no C-ordered {dimensions}d array of {np.dtype(dtype_of(name))}")
        words.append(array.ctypes.data)
        words.extend(array.shape)
    return np.array(words, np.int64)
