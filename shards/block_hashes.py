"""Checksums of each block of a file, so that damage is found where and when the block is first read.

    block i    bytes i · BLOCK_BYTES … (i + 1) · BLOCK_BYTES - 1, the last one perhaps shorter

Checksums are xxh3 of 64 bits, 16 hexadecimal digits each, one after the other in one string.
"""

import numpy as np
import xxhash

BLOCK_BYTES = 1 << 22
_DIGITS = 16


class BlockHasher:
    """Takes the bytes of a file in pieces of any size."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._block = xxhash.xxh3_64()
        self._room = BLOCK_BYTES

    def update(self, data: memoryview) -> None:
        data = data.cast("B")
        while len(data):
            part = data[: self._room]
            self._block.update(part)
            self._room -= len(part)
            data = data[len(part) :]
            if not self._room:
                self._done.append(self._block.hexdigest())
                self._block, self._room = xxhash.xxh3_64(), BLOCK_BYTES

    def hexdigests(self) -> str:
        """The checksums of all blocks so far, that of an unfinished one too."""
        unfinished = [self._block.hexdigest()] if self._room < BLOCK_BYTES else []
        return "".join(self._done + unfinished)


def damaged_block(data: np.ndarray, number: int, hexdigests: str) -> range | None:
    """The bytes of block `number` in the file's uint8 `data` if they differ from its checksum, and None otherwise."""
    bounds = range(number * BLOCK_BYTES, min((number + 1) * BLOCK_BYTES, len(data)))
    found = xxhash.xxh3_64_hexdigest(data[bounds.start : bounds.stop].data)
    return None if found == hexdigests[number * _DIGITS : (number + 1) * _DIGITS] else bounds
