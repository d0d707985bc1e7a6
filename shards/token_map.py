"""The tokens of training files as one array, in which documents stand one after the other; its files are mapped.

    position      0 ………………………………………………………………… num_tokens - 1
    stretches     │ record batch of a file │ record batch │ …        each lies in one piece in its file

The layout says where each stretch lies, so opening reads no Arrow file. A file is mapped when it is first needed, and
each block of it is compared with its checksum when it is first read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards.block_hashes import BLOCK_BYTES, damaged_block
from shards.compiled import kernel
from shards.errors import RunError
from shards.limits import check_limits
from shards.token_manifest import REMEDY, TokenFile, TokenManifest, size_damage


@dataclass(frozen=True)
class TokenPart:
    """A file with tokens."""

    path: Path
    proof: TokenFile


@dataclass(frozen=True)
class TokenLayout:
    """Where tokens lie in files, by stretch."""

    first: np.ndarray  # int64[stretches + 1]: position of the first token, and the number of all tokens
    file: np.ndarray  # int64[stretches]: number of the file
    byte: np.ndarray  # int64[stretches]: where it begins in the file
    masked: np.ndarray  # int64[2 m]: positions start, end, … of tokens that are not learned; ascending and disjoint

    @classmethod
    def joined(cls, layouts: Sequence["TokenLayout"], num_files: Sequence[int]) -> "TokenLayout":
        """The layouts one after the other; each numbers its own files."""
        tokens = np.cumsum([0] + [int(layout.first[-1]) for layout in layouts])
        files = np.cumsum([0, *num_files])
        return cls(
            np.concatenate([*(layout.first[:-1] + n for layout, n in zip(layouts, tokens, strict=False)), tokens[-1:]]),
            np.concatenate([layout.file + n for layout, n in zip(layouts, files, strict=False)]),
            np.concatenate([layout.byte for layout in layouts]),
            np.concatenate([layout.masked + n for layout, n in zip(layouts, tokens, strict=False)]),
        )


class TokenMap:
    """Mapped files under a layout.

    addresses    uint64[stretches]: where a stretch begins in memory; 0 until it is first needed
    """

    def __init__(self, layout: TokenLayout, parts: Sequence[TokenPart], item_bytes: int) -> None:
        """RunError where a file is missing or has another size."""
        for part in parts:
            if damage := size_damage(part.path, part.proof):
                raise RunError(f"{damage}; {REMEDY}")
        self.layout, self.item_bytes = layout, item_bytes
        self.addresses = np.zeros(len(layout.file), np.uint64)
        self._parts = parts
        self._data: dict[int, np.ndarray] = {}
        num_blocks = [-(-part.proof.num_file_bytes // BLOCK_BYTES) for part in parts]
        self._first_block = np.cumsum([0, *num_blocks])
        self._is_checked = np.zeros(self._first_block[-1], np.bool_)

    def prepare(self, positions: np.ndarray, lengths: np.ndarray) -> None:
        """Map files and check blocks, so that `lengths` tokens from each of int64 `positions` can be read.

        Each piece lies in one stretch. RunError for a damaged block.
        """
        layout = self.layout
        blocks = _unchecked_blocks(
            positions,
            lengths,
            layout.first,
            layout.file,
            layout.byte,
            self.item_bytes,
            self._first_block,
            self._is_checked,
        )
        for block in sorted(set(blocks.tolist())):
            self._check(block)

    def _check(self, block: int) -> None:
        number = int(np.searchsorted(self._first_block, block, side="right")) - 1
        _require_block(self._parts[number], self._mapped(number), block - int(self._first_block[number]))
        self._is_checked[block] = True

    def _mapped(self, number: int) -> np.ndarray:
        """The bytes of a file."""
        if number not in self._data:
            self._data[number] = data = _bytes_of(self._parts[number].path)
            own = slice(*np.searchsorted(self.layout.file, [number, number + 1]))  # files of a layout ascend
            self.addresses[own] = data.ctypes.data + self.layout.byte[own]
        return self._data[number]


def require_whole(part: TokenPart) -> None:
    """RunError where the file has another size or another block than it was written with; reads all of it."""
    if damage := size_damage(part.path, part.proof):
        raise RunError(f"{damage}; {REMEDY}")
    data = _bytes_of(part.path)
    for block in range(-(-len(data) // BLOCK_BYTES)):
        _require_block(part, data, block)


def _bytes_of(path: Path) -> np.ndarray:
    """The file as uint8, mapped."""
    try:
        return np.memmap(path, np.uint8, "r")
    except OSError as error:
        check_limits(path, error)
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None


def _require_block(part: TokenPart, data: np.ndarray, number: int) -> None:
    """RunError where the block of the file's bytes differs from its checksum."""
    if damage := damaged_block(data, number, part.proof.blocks_xxh3):
        raise RunError(
            f"{part.path}: bytes {damage.start:,} to {damage.stop - 1:,} are not as they were written; {REMEDY}"
        )


def token_parts(folder: Path, split: str, manifest: TokenManifest) -> list[TokenPart]:
    """The files of a split of a token folder, in order."""
    return [TokenPart(folder / split / f"{stem}.arrow", shard.files[split]) for stem, shard in manifest.shards.items()]


def arrow_layout(batches: Sequence[Sequence[pa.RecordBatch]], bases: Sequence[int]) -> TokenLayout:
    """The layout of the record batches of mapped token files, of which `bases` are the addresses of the first bytes."""
    first, file, byte, masked = [0], [], [], [np.zeros(0, np.int64)]
    for number, (of_file, base) in enumerate(zip(batches, bases, strict=True)):
        for batch in of_file:
            tokens, ranges = batch["tokens"], batch["masked"]
            offsets = np.asarray(tokens.offsets)
            values = tokens.values
            item = values.type.bit_width // 8
            file.append(number)
            byte.append(values.buffers()[1].address + (values.offset + int(offsets[0])) * item - base)
            if len(bounds := np.asarray(ranges.values)):
                num_bounds = np.diff(np.asarray(ranges.offsets))
                document_first = first[-1] + offsets[:-1] - offsets[0]
                masked.append(bounds + np.repeat(document_first, num_bounds))
            first.append(first[-1] + int(offsets[-1] - offsets[0]))
    return TokenLayout(
        np.array(first, np.int64), np.array(file, np.int64), np.array(byte, np.int64), np.concatenate(masked)
    )


@kernel(nogil=True)
def _unchecked_blocks(positions, lengths, first, file, byte, item_bytes, first_block, is_checked):
    """Numbers of blocks that hold one of the tokens and are not checked, some of them more than once."""
    found = [0 for _ in range(0)]  # so that its type is known
    for i in range(len(positions)):
        stretch = np.searchsorted(first, positions[i], side="right") - 1
        start = byte[stretch] + (positions[i] - first[stretch]) * item_bytes
        end = start + lengths[i] * item_bytes
        block = first_block[file[stretch]]
        for number in range(block + start // BLOCK_BYTES, block + (end + BLOCK_BYTES - 1) // BLOCK_BYTES):
            if not is_checked[number]:
                found.append(number)  # noqa: PERF401  # a kernel knows no generators
    return np.array(found, np.int64)
