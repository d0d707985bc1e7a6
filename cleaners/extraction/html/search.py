"""Search for a byte and the number of a byte, 32 bytes a step, and bytes as words.

LLVM does not vectorise a loop with an early exit. Written plainly, the search takes 1.1 ns a byte; like this, .07 in
long texts and .28 with a hit every 50 bytes.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from shards.compiled import kernel


@kernel
def find(data, i, byte):
    """The first position from `i` on that holds `byte`, or len(data)."""
    n = len(data)
    while i + 32 <= n:
        equal = _equal32(data, i, np.uint8(byte))  # type: ignore[call-arg, var-annotated]
        if equal:
            return i + _lowest_bit(equal)
        i += 32
    while i < n and data[i] != byte:
        i += 1
    return i


@kernel
def count(data, byte):
    """How many of the bytes are `byte`."""
    number, i = 0, 0
    while i + 32 <= len(data):
        number += _number_of_bits(_equal32(data, i, np.uint8(byte)))  # type: ignore[call-arg]
        i += 32
    for k in range(i, len(data)):
        number += data[k] == byte
    return number


@kernel(inline="always")
def word_of(data, start, end):
    """data[start:end], 8 bytes at most, as a little-endian word."""
    if start + 8 <= len(data):
        loaded = _word(data, start)  # type: ignore[call-arg, var-annotated]
        return loaded if end - start >= 8 else loaded & ((np.uint64(1) << np.uint64(8 * (end - start))) - np.uint64(1))
    word = np.uint64(0)
    for k in range(start, min(end, start + 8)):
        word |= np.uint64(data[k]) << np.uint64(8 * (k - start))
    return word


def _generate_word(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    address = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
    loaded = builder.load(address)
    loaded.align = 1
    return loaded


def _generate_equal32(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    lanes, number = ir.VectorType(ir.IntType(8), 32), ir.IntType(32)
    address = builder.bitcast(builder.gep(array.data, [arguments[1]]), lanes.as_pointer())
    loaded = builder.load(address)
    loaded.align = 1
    undefined = ir.Constant(lanes, ir.Undefined)
    one = builder.insert_element(undefined, arguments[2], ir.Constant(number, 0))
    wanted = builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(number, 32), [0] * 32))
    return builder.bitcast(builder.icmp_unsigned("==", loaded, wanted), number)


def _generate_number_of_bits(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.zext(builder.ctpop(arguments[0]), ir.IntType(64))


def _generate_lowest_bit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.zext(builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1)), ir.IntType(64))


@intrinsic
def _equal32(_context, data, i, byte):
    """Which of the 32 bytes at `i` equal `byte`: the lowest bit is the first of them, on little-endian machines."""
    return types.uint32(data, types.intp, types.uint8), _generate_equal32


@intrinsic
def _word(_context, data, i):
    """The 8 bytes at `i`, the first of them lowest, on little-endian machines."""
    return types.uint64(data, types.intp), _generate_word


@intrinsic
def _lowest_bit(_context, mask):
    return types.intp(types.uint32), _generate_lowest_bit


@intrinsic
def _number_of_bits(_context, mask):
    return types.intp(types.uint32), _generate_number_of_bits
