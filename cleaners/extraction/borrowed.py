"""Arrays without a count of their references, for kernels that call others in their loops.

Numba counts the references to every array that a compiled function takes, or takes from a tuple, by two atomic
additions. In the parser, which calls several small functions for each tag, they were a quarter of the time.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic


def _borrowed(_context: Any, value: Any) -> Any:
    """The same array, or tuple of arrays and numbers, uncounted.

    Only for what a kernel was called with: its caller keeps that until the kernel returns. So a kernel that is inlined
    must not borrow, and nothing borrowed may be returned, nor a slice of it.
    """
    return value(value), _generate_borrowed


borrowed: Any = intrinsic(_borrowed)


def _generate_borrowed(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _uncounted(context, builder, signature.return_type, arguments[0])


def _uncounted(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.BaseTuple):
        parts: Any = kind
        shown = [_uncounted(context, builder, part, builder.extract_value(value, k)) for k, part in enumerate(parts)]
        return context.make_tuple(builder, kind, shown)
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = ir.Constant(array.meminfo.type, None)
        return array._getvalue()
    return value
