"""What other libraries read of our files, in their own environment: `interop.py READER FILE…` prints JSON."""

import json
import sys
import warnings
from itertools import pairwise

from data import leave_out_torchvision

warnings.simplefilter("ignore")  # Megatron-Core names what of NVIDIA is not installed


def megatron(prefix: str, again: str) -> dict:
    """Documents of `prefix`.bin and .idx as lists of tokens. Megatron's own writer writes them to `again`."""
    import torch
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

    dataset = IndexedDataset(prefix)
    bounds, kind = dataset.document_indices.tolist(), dataset.index.dtype
    builder = IndexedDatasetBuilder(f"{again}.bin", dtype=kind)
    for sequence in dataset:
        builder.add_document(torch.from_numpy(sequence.astype("int64")), [len(sequence)])
    builder.finalize(f"{again}.idx")
    documents = [[dataset[i].tolist() for i in range(a, b)] for a, b in pairwise(bounds)]
    return {"documents": documents, "type": kind.__name__}


def mds(folder: str, split: str, again: str) -> list[dict]:
    """Samples of a split. The library's own writer writes them to `again`."""
    leave_out_torchvision()
    from streaming import MDSWriter, StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    samples = list(StreamingDataset(local=folder, split=split, shuffle=False, batch_size=1, validate_hash="xxh3_64"))
    kinds = {str: "str", list: "json"}
    columns = {name: kinds.get(type(value)) or f"ndarray:{value.dtype}" for name, value in samples[0].items()}
    with MDSWriter(out=again, columns=columns, hashes=["xxh3_64"]) as out:
        for sample in samples:
            out.write(sample)
    return [sample | {"tokens": sample["tokens"].tolist()} for sample in samples]


def datasets(cache: str, *files: str) -> list[dict]:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    return list(load_dataset("arrow", data_files=list(files), split="train", cache_dir=cache))


def polars(*files: str) -> list[dict]:
    import polars

    return [row for file in files for row in polars.read_ipc(file).to_dicts()]


def duckdb(*files: str) -> list[dict]:
    import duckdb
    import pyarrow.dataset

    rows = pyarrow.dataset.dataset(list(files), format="ipc")  # duckdb finds it by its name
    found = duckdb.sql("select * from rows").arrow().read_all() if rows is not None else None
    return found.to_pylist()


if __name__ == "__main__":
    readers = {reader.__name__: reader for reader in (megatron, mds, datasets, polars, duckdb)}
    print(json.dumps(readers[sys.argv[1]](*sys.argv[2:])))
