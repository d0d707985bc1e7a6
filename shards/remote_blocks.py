"""Blocks of files in a store, copied when they are first needed into a cache of bounded size, and mapped there.

    object     │ block 0 │ block 1 │ block 2 │ …      of `shards.block_hashes`
    its copy   │         │ block 1 │         │ …      a sparse file of the same size, which holds what was needed

So addresses stay as they are while blocks come and go. Copies have no names, lie in $GRISTMILL_SCRATCH or the system's
folder for temporary files, and end with their process, however that ends.
"""

import mmap
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from shards import mirror, scratch
from shards.block_hashes import BLOCK_BYTES
from shards.errors import RunError
from shards.remote import RemoteError
from shards.s3_object import S3Object

_CONNECTIONS = 16


@dataclass
class RemoteCopy:
    """The sparse copy of one object."""

    path: Path  # in a mirror
    num_bytes: int
    file: IO[bytes] = field(init=False)
    map: mmap.mmap = field(init=False)

    def __post_init__(self) -> None:
        folder = scratch.base().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # it lives as long as its map
            self.file.truncate(self.num_bytes)
            self.map = mmap.mmap(self.file.fileno(), self.num_bytes)
        except OSError as error:
            raise _scratch_error(folder, error) from None

    @property
    def data(self) -> np.ndarray:
        """uint8, with zeros in place of blocks that are not here."""
        return np.frombuffer(self.map, np.uint8)

    def fetch(self, block: int) -> None:
        """Copy the block. RunError, with the URL, where it does not come."""
        start = block * BLOCK_BYTES
        length = min(BLOCK_BYTES, self.num_bytes - start)
        url = mirror.address(self.path)
        assert url is not None, self.path
        try:
            data = S3Object(url, "").read(start, length)
        except RemoteError as error:
            raise RunError(f"{url}: {error}") from None
        if len(data) != length:
            raise RunError(f"{url}: ends at byte {start + len(data):,} of {self.num_bytes:,}; put it there again")
        try:
            os.pwrite(self.file.fileno(), data, start)  # not by the map, where a full disk would be a SIGBUS
        except OSError as error:
            raise _scratch_error(scratch.base().parent, error) from None

    def drop(self, block: int) -> None:
        """Give back the disk of a block; its bytes are zeros from now on."""
        start = block * BLOCK_BYTES
        self.map.madvise(mmap.MADV_REMOVE, start, min(BLOCK_BYTES, self.num_bytes - start))


class LeastRecent:
    """Which blocks to drop, so that no more than `max_blocks` are held."""

    def __init__(self, num_blocks: int, max_blocks: int) -> None:
        self._used, self._now, self._max = np.zeros(num_blocks, np.int64), 0, max_blocks

    def make_room(self, needed: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Those of the blocks `held` to drop for blocks that are `needed` at once, held ones among them; all distinct.

        RunError where more are needed than may be held.
        """
        self._now += 1
        self._used[needed] = self._now
        others: np.ndarray = held[self._used[held] < self._now]
        excess = len(others) + len(needed) - self._max
        if excess <= 0:
            nothing: np.ndarray = others[:0]
            return nothing
        if excess > len(others):
            need = len(needed) * BLOCK_BYTES / 1e9
            raise RunError(f"a batch needs {need:.2f} GB of token shards at once; raise token_cache_gb above that")
        least: np.ndarray = others[np.argpartition(self._used[others], excess - 1)[:excess]]
        return least


def fetch_all(blocks: Sequence[tuple[RemoteCopy, int]]) -> None:
    """Copy the blocks, several at once."""
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        for _ in threads.map(lambda block: block[0].fetch(block[1]), blocks):
            pass


def _scratch_error(folder: Path, error: OSError) -> RunError:
    return RunError(
        f"{folder}: {error.strerror}; free some space, lower token_cache_gb, or set GRISTMILL_SCRATCH to a folder on "
        "another disk"
    )
