"""Loaders of others, in their own environment: `data.py write|streaming|datasets FOLDER` prints a rate and a digest."""

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import xxhash

ROW_LENGTH, BATCH_ROWS, NUM_BATCHES = 2048, 32, 400


def write(folder: Path) -> None:
    """The rows as MDS and as an Arrow data set."""
    leave_out_torchvision()
    import datasets
    from streaming import MDSWriter

    tokens, starts = np.load(folder / "tokens.npy"), np.load(folder / "starts.npy")
    firsts = np.flatnonzero(starts % ROW_LENGTH == 0)
    of_rows = [starts[a:b] - row * ROW_LENGTH for row, (a, b) in enumerate(pairwise(firsts))]
    columns = {"tokens": f"ndarray:int32:{ROW_LENGTH}", "starts": "ndarray:int32"}
    with MDSWriter(out=str(folder / "mds"), columns=columns, size_limit=1 << 26) as out:
        for row, begins in zip(tokens, of_rows, strict=True):
            out.write({"tokens": row, "starts": begins})
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("int32"), length=ROW_LENGTH),
            "starts": datasets.Sequence(datasets.Value("int32")),
        }
    )
    datasets.Dataset.from_dict({"tokens": tokens, "starts": of_rows}, features=features).save_to_disk(folder / "hf")


def leave_out_torchvision() -> None:
    """MosaicML streaming imports it for data sets of images alone, and its wheel fits one build of torch only."""
    import datasets  # noqa: F401  # which look for it
    import transformers.feature_extraction_utils
    import transformers.tokenization_utils_base  # noqa: F401

    for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = ModuleType(name)
    sys.modules["torchvision.datasets"].VisionDataset = type("VisionDataset", (), {})
    sys.modules["torchvision.transforms.functional"].to_tensor = None


def streaming(folder: Path) -> None:
    leave_out_torchvision()
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()
    rows = StreamingDataset(local=str(folder / "mds"), shuffle=True, shuffle_algo="py1e", batch_size=BATCH_ROWS)

    def batches():
        while True:
            batch = []
            for row in rows:
                batch.append(row)
                if len(batch) == BATCH_ROWS:
                    yield batch
                    batch = []
            yield batch

    measure(batches(), len(rows), lambda batch: _joined([r["tokens"] for r in batch], [r["starts"] for r in batch]))


def datasets(folder: Path) -> None:
    from datasets import load_from_disk

    rows = load_from_disk(folder / "hf").with_format("numpy")

    def batches():
        while True:
            for i in range(0, len(rows), BATCH_ROWS):
                yield rows[i : i + BATCH_ROWS]

    measure(batches(), len(rows), lambda batch: _joined(batch["tokens"], batch["starts"]))


def _joined(tokens, starts):
    """An int32 array of the rows, and where their segments begin in all of them."""
    begins = np.concatenate([begin + row * ROW_LENGTH for row, begin in enumerate(starts)])
    return np.ascontiguousarray(tokens, np.int32).reshape(len(starts), ROW_LENGTH), begins.astype(np.int32)


def measure(batches, num_rows, hand_over) -> None:
    """Print the rate after an epoch, whose digest is printed too."""
    digest = taken = 0
    while taken < num_rows:
        tokens, starts = hand_over(next(batches))
        firsts = [*np.flatnonzero(starts % ROW_LENGTH == 0), len(starts)]
        for row in range(len(tokens)):
            own = starts[firsts[row] : firsts[row + 1]] - row * ROW_LENGTH
            digest += xxhash.xxh3_64_intdigest(tokens[row].tobytes() + own.astype(np.int32).tobytes())
        taken += len(tokens)
    num_tokens = 0
    began = time.process_time()
    for _ in range(NUM_BATCHES):
        tokens, _ = hand_over(next(batches))
        num_tokens += tokens.size
    print(json.dumps({"rate": num_tokens / (time.process_time() - began), "digest": digest % 2**64}))


if __name__ == "__main__":
    {"write": write, "streaming": streaming, "datasets": datasets}[sys.argv[1]](Path(sys.argv[2]))
