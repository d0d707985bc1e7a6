"""The tokens of training files as one array, in which documents stand one after the other; its files are mapped.

    position      0 ………………………………………………………………… num_tokens - 1
    stretches     │ record batch of a file │ record batch │ …        each lies in one piece in its file

The layout says where each stretch lies, so opening reads no Arrow file. A file is mapped when it is first needed, and
each block of it is compared with its checksum when it is first read. Blocks of files in a store are fetched then, into
a cache of bounded size (`shards.remote_blocks`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards import mirror
from shards.block_hashes import BLOCK_BYTES, damaged_block
from shards.compiled import kernel
from shards.errors import RunError
from shards.limits import check_limits
from shards.remote_blocks import LeastRecent, RemoteCopy, fetch_all
from shards.token_manifest import REMEDY, TokenFile, TokenManifest, size_damage

MAX_CACHED_BYTES = 16 * 10**9  # of files in a store


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

    def __init__(
        self,
        layout: TokenLayout,
        parts: Sequence[TokenPart],
        item_bytes: int,
        max_cached_bytes: int = MAX_CACHED_BYTES,
    ) -> None:
        """Of files in a store `max_cached_bytes` are held at most. RunError where a local one is missing or has another
        size."""
        is_remote = [mirror.is_mirrored(part.path) for part in parts]
        for part, remote in zip(parts, is_remote, strict=True):
            if not remote and (damage := size_damage(part.path, part.proof)):
                raise RunError(f"{damage}; {REMEDY}")
        self.layout, self.item_bytes = layout, item_bytes
        self._parts, self._max_blocks = parts, max_cached_bytes // BLOCK_BYTES
        num_blocks = [-(-part.proof.num_file_bytes // BLOCK_BYTES) for part in parts]
        self._first_block = np.cumsum([0, *num_blocks])
        self._is_remote = np.repeat(np.array(is_remote, np.bool_), num_blocks)
        self._has_remote = any(is_remote)
        self._process = os.getpid()
        self.addresses = np.zeros(len(self.layout.file), np.uint64)
        self._data: dict[int, np.ndarray] = {}
        self._copies: dict[int, RemoteCopy] = {}
        self._is_checked = np.zeros(self._first_block[-1], np.bool_)
        self._least_recent = LeastRecent(len(self._is_checked), self._max_blocks)

    def prepare(self, positions: np.ndarray, lengths: np.ndarray) -> None:
        """Map files, fetch and check blocks, so that `lengths` tokens from each of int64 `positions` can be read.

        Each piece lies in one stretch. What was prepared before may be dropped. RunError for a damaged block, and where
        one of a store does not come.
        """
        if self._has_remote:
            self._fetch(positions, lengths)
        for block in self._blocks(positions, lengths, self._is_checked):
            _require_block(self._parts[self._file(block)], *self._place(block))
            self._is_checked[block] = True

    def _fetch(self, positions: np.ndarray, lengths: np.ndarray) -> None:
        """Fetch the blocks that lie in a store and are not here, and drop others for them."""
        if self._process != os.getpid():  # which would drop blocks of its parent; nor can it use the store's library
            raise RunError(f"{self._parts[0].path}: a forked process reads no files of a store; start it by spawn")
        needed = self._blocks(positions, lengths, np.zeros_like(self._is_checked))
        needed = needed[self._is_remote[needed]]
        missing = needed[~self._is_checked[needed]]
        held = np.flatnonzero(self._is_checked & self._is_remote)
        for block in self._least_recent.make_room(needed, held).tolist():
            self._is_checked[block] = False
            number = self._file(block)
            self._copies[number].drop(block - int(self._first_block[number]))
        numbers = [self._file(block) for block in missing]
        for number in numbers:
            self._mapped(number)
        fetch_all(
            [(self._copies[n], int(block - self._first_block[n])) for n, block in zip(numbers, missing, strict=True)]
        )

    def _blocks(self, positions: np.ndarray, lengths: np.ndarray, passed_over: np.ndarray) -> np.ndarray:
        """Numbers of the blocks that hold one of the tokens, ascending, but for those that are passed over."""
        layout = self.layout
        return np.unique(
            _blocks_of(
                positions,
                lengths,
                layout.first,
                layout.file,
                layout.byte,
                self.item_bytes,
                self._first_block,
                passed_over,
            )
        )

    def _file(self, block: int) -> int:
        return int(np.searchsorted(self._first_block, block, side="right")) - 1

    def _place(self, block: int) -> tuple[np.ndarray, int]:
        """(bytes of the block's file, its number there)."""
        number = self._file(block)
        return self._mapped(number), block - int(self._first_block[number])

    def _mapped(self, number: int) -> np.ndarray:
        """The bytes of a file."""
        if number not in self._data:
            part = self._parts[number]
            if self._is_remote[self._first_block[number]]:
                self._copies[number] = RemoteCopy(part.path, part.proof.num_file_bytes)
                data = self._copies[number].data
            else:
                data = _bytes_of(part.path)
            self._data[number] = data
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
        return mirror.opened(path, lambda path: np.memmap(path, np.uint8, "r"))
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
def _blocks_of(positions, lengths, first, file, byte, item_bytes, first_block, passed_over):
    """Numbers of the blocks that hold one of the tokens, some of them more than once."""
    found = [0 for _ in range(0)]  # so that its type is known
    for i in range(len(positions)):
        stretch = np.searchsorted(first, positions[i], side="right") - 1
        start = byte[stretch] + (positions[i] - first[stretch]) * item_bytes
        end = start + lengths[i] * item_bytes
        block = first_block[file[stretch]]
        for number in range(block + start // BLOCK_BYTES, block + (end + BLOCK_BYTES - 1) // BLOCK_BYTES):
            if not passed_over[number]:
                found.append(number)  # noqa: PERF401  # a kernel knows no generators
    return np.array(found, np.int64)
