"""Storage of checkpoints for torch.distributed.checkpoint: safetensors files and one JSON, without pickle.

    model-00000.safetensors        what rank 0 wrote of the weights
    optimizer-00000.safetensors    … of the optimizer's state
    rng-00000.safetensors          … of the state of random numbers
    state.json                     what is no tensor, and the sha256 of the others; written last

A state dict's keys are KIND/NAME. Of a tensor that is sharded each rank writes its part under the same name, and the
file's metadata holds its offsets in the whole. A part is read by any rank of any other world that needs some of it.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from pretrain.state import STATE, TrainState, write_state
from shards.atomic import atomic_file
from shards.errors import RunError
from shards.limits import check_limits
from shards.manifest import file_sha256

warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # one process is no mistake

WEIGHTS = "model"  # the kind of tensors that must be finite
_OFFSETS = "offsets"  # key in a file's metadata: JSON of {name: offsets} of its tensors that are parts
_CHUNK_BYTES = 1 << 24
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class SafetensorsWriter(StorageWriter):
    """Writes a checkpoint into `path` and its `state` at the end, when the files of all ranks are on disk.

    RunError where a weight is not finite, before a file is written, and where the disk fails.
    """

    def __init__(self, path: Path, state: TrainState) -> None:
        self._path, self._state, self._rank = path, state, 0

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        pass

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return True

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        self._rank = kwargs.get("rank", 0)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        # It exists only where this checkpoint did not load, or where a kill left some of its files.
        (self._path / STATE).unlink(missing_ok=True)
        for file in self._path.glob("*"):
            file.unlink()
        return plans

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this rank's part of each kind; its results have (name, sha256) of each file."""
        tensors: dict[str, dict[str, Tensor]] = {}
        offsets: dict[str, dict[str, list[int]]] = {}
        for item in plan.items:
            kind, name = item.index.fqn.split("/", 1)
            assert name not in tensors.get(kind, ()), f"{name} has two parts on one rank"
            tensor = planner.resolve_data(item)
            assert isinstance(tensor, Tensor), f"{name} is no tensor"
            tensors.setdefault(kind, {})[name] = tensor.detach().contiguous()
            if item.index.offset is not None and any(item.index.offset):
                offsets.setdefault(kind, {})[name] = list(item.index.offset)
        for name, tensor in tensors.get(WEIGHTS, {}).items():
            if not tensor.isfinite().all():
                raise RunError(
                    f"step {self._state.step}: {name} is not finite, and no checkpoint was written; with a lower "
                    "optimizer.lr train from the beginning, into another out"
                )
        results = []
        for kind in sorted(tensors):
            file = f"{kind}-{self._rank:05d}.safetensors"
            metadata = {_OFFSETS: json.dumps(offsets.get(kind, {}))}
            sha256 = write_safetensors(self._path / file, tensors[kind], metadata)
            results.append(WriteResult(MetadataIndex(file), 0, (file, sha256)))
        future: Future[list[WriteResult]] = Future()
        future.set_result(results)
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        sha256 = dict(sorted(result.storage_data for of_rank in results for result in of_rank))
        write_state(self._path, self._state.model_copy(update={"sha256": sha256}))


class SafetensorsReader(StorageReader):
    """Reads these `files` of a checkpoint in `path`; RunError where one is damaged."""

    def __init__(self, path: Path, files: Sequence[str]) -> None:
        self._path, self._files = path, files
        self._file_of: dict[MetadataIndex, str] = {}

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        pass

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return True

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The size of each tensor and its parts, from the headers of all files."""
        tensors: dict[str, TensorStorageMetadata] = {}
        for name in self._files:
            kind = name.rpartition("-")[0]
            for key, offsets, part in _parts(self._path / name):
                whole = torch.Size(offset + size for offset, size in zip(offsets, part.shape, strict=True))
                index = MetadataIndex(f"{kind}/{key}", offsets)
                self._file_of[index] = name
                known = tensors.setdefault(
                    index.fqn, TensorStorageMetadata(TensorProperties(part.dtype), torch.Size([0] * part.ndim), [])
                )
                known.chunks.append(ChunkStorageMetadata(torch.Size(offsets), part.shape))
                known.size = torch.Size(map(max, known.size, whole))
        return Metadata(dict(tensors))

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        if not self._file_of:  # a rank to which the coordinator sent what it read
            self.read_metadata()

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        by_file: dict[str, list[Any]] = {}
        for item in plan.items:
            by_file.setdefault(self._file_of[item.storage_index], []).append(item)
        for name, items in by_file.items():
            with opened(self._path / name) as file:
                for item in items:
                    part = file.get_tensor(item.storage_index.fqn.split("/", 1)[1])
                    wanted = part[tuple(map(_slice, item.storage_offsets, item.lengths))]
                    target = planner.resolve_tensor(item).detach()
                    target.copy_(wanted)
                    planner.commit_tensor(item, target)
        future: Future[None] = Future()
        future.set_result(None)
        return future


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write contiguous tensors atomically, straight from their memory; returns the file's sha256.

    Other threads run meanwhile: checksum and write release the interpreter lock.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    sha256 = hashlib.sha256()
    with atomic_file(path) as file:
        for piece in chain([len(text).to_bytes(8, "little") + text], _bytes_of(tensors.values())):
            sha256.update(piece)
            file.write(piece)
    return sha256.hexdigest()


def check_file(path: Path, sha256: str) -> None:
    """RunError where a file of a checkpoint is not as it was written."""
    try:
        found = file_sha256(path)
    except OSError as error:
        check_limits(path, error)
        raise RunError(f"{path}: not readable ({error.strerror})") from None
    if found != sha256:
        raise RunError(f"{path}: is not as it was written: sha256 {found[:12]}, written was {sha256[:12]}")


def opened(path: Path) -> Any:
    """The file, by `safetensors.safe_open`; RunError where it is missing or damaged."""
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError, ValueError) as error:
        check_limits(path, error)
        raise RunError(f"{path}: not readable ({str(error).splitlines()[0]})") from None


def _parts(path: Path) -> Iterator[tuple[str, list[int], Tensor]]:
    """(name, offsets in the whole, tensor) of what a file holds; empty parts of sharded tensors are left out."""
    with opened(path) as file:
        offsets = json.loads((file.metadata() or {}).get(_OFFSETS, "{}"))
        for key in file.keys():  # noqa: SIM118  (not a mapping)
            part = file.get_tensor(key)
            if part.numel() or key not in offsets:
                yield key, offsets.get(key, [0] * part.ndim), part


def _bytes_of(tensors: Iterable[Tensor]) -> Iterator[bytes | memoryview]:
    for tensor in tensors:
        data = tensor.cpu().reshape(-1).view(torch.uint8).numpy().data
        for first in range(0, len(data), _CHUNK_BYTES):
            yield data[first : first + _CHUNK_BYTES]


def _slice(offset: int, length: int) -> slice:
    return slice(offset, offset + length)
