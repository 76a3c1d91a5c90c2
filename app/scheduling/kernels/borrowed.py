"""The type of arrays that kernels borrow: as numba's own, but not counted.

Every use of a counted array costs an atomic addition and one subtraction. The arrays of a round live as long as the
tuple that Python holds, so kernels need not count them.
"""

from typing import Any

from numba import types
from numba.extending import models, register_model


class Borrowed(types.Array):  # type: ignore[misc]
    """A C-ordered array that somebody else keeps alive."""

    def __init__(self, dtype: Any, ndim: int, layout: str = "C") -> None:
        super().__init__(dtype, ndim, layout, name=f"borrowed({dtype}, {ndim}d, {layout})")

    def copy(self, dtype: Any = None, ndim: int | None = None, layout: str | None = None, readonly: Any = None) -> Any:
        """The type of a view of it, which is as borrowed."""
        return Borrowed(dtype or self.dtype, self.ndim if ndim is None else ndim, layout or self.layout)


@register_model(Borrowed)
class _BorrowedModel(models.StructModel):  # type: ignore[misc]
    """The layout of an array whose owner is a plain pointer."""

    def __init__(self, manager: Any, of_type: Borrowed) -> None:
        members = [
            ("meminfo", types.voidptr),
            ("parent", types.voidptr),
            ("nitems", types.intp),
            ("itemsize", types.intp),
            ("data", types.CPointer(of_type.dtype)),
            ("shape", types.UniTuple(types.intp, of_type.ndim)),
            ("strides", types.UniTuple(types.intp, of_type.ndim)),
        ]
        super().__init__(manager, of_type, members)
