"""Deduplication by datatrove, datasketch, rensa and a suffix array: runs in the peers' environment, prints JSON.

    dedup.py --minhash TEXTS WARM         datatrove's four MinHash stages on a folder of JSON lines
    dedup.py --signatures TEXTS.json NUM  texts to NUM hashes each by datasketch, shingled in Python as its users do
    dedup.py --flat SETS.npz NUM          shingle sets to NUM hashes each by rensa's flat kernel
    dedup.py --estimates PAIRS.npz NUM    datasketch's similarity of pairs of shingle sets
    dedup.py --substring TEXTS LENGTH     bytes in repeated spans of LENGTH bytes, by suffix array and LCP

What is loaded or compiled once is warm before the clock starts.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BANDS, ROWS, NGRAM = 14, 8, 5


def minhash(texts: str, warm: str) -> dict:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    def run(folder: str, out: str) -> tuple[list[float], list[str]]:
        config = MinhashConfig(num_buckets=BANDS, hashes_per_bucket=ROWS, n_grams=NGRAM)
        stages = [
            (1, [JsonlReader(folder), MinhashDedupSignature(f"{out}/signatures", config)]),
            (BANDS, [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)]),
            (1, [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config)]),
            (
                1,
                [
                    JsonlReader(folder),
                    MinhashDedupFilter(f"{out}/remove"),
                    JsonlWriter(f"{out}/kept", output_filename="${rank}.jsonl", compression=None),
                ],
            ),
        ]
        seconds = []
        for number, (tasks, stage) in enumerate(stages):
            began = time.perf_counter()
            LocalPipelineExecutor(stage, tasks=tasks, workers=1, logging_dir=f"{out}/logs/{number}").run()
            seconds.append(time.perf_counter() - began)
        kept = [json.loads(line)["id"] for path in Path(out, "kept").iterdir() for line in path.open()]
        return seconds, kept

    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        run(warm, first)
        seconds, kept = run(texts, second)
    return {"seconds": sum(seconds), "stages": seconds, "kept": kept}


def signatures(texts: str, num_hashes: int) -> dict:
    from datasketch import MinHash

    documents = json.loads(Path(texts).read_text())

    def sign(text: str) -> np.ndarray:
        words = re.findall(r"\w+", text.lower())
        shingles = {" ".join(words[k : k + NGRAM]).encode() for k in range(max(1, len(words) - NGRAM + 1))}
        made = MinHash(num_hashes, seed=1, scheme="affine32")
        made.update_batch(shingles)
        return made.hashvalues

    return {"seconds": _timed(lambda: [sign(text) for text in documents])}


def flat(path: str, num_hashes: int) -> dict:
    from rensa import RMinHash

    held = np.load(path)
    hashes, starts = held["sets"].astype(np.uint64), held["starts"].astype(np.uint64)
    return {"seconds": _timed(lambda: RMinHash.digest_matrix_from_flat_token_hashes(hashes, starts, num_hashes, 1))}


def _timed(make) -> float:
    make()
    began = time.perf_counter()
    make()
    return time.perf_counter() - began


def estimates(path: str, num_hashes: int) -> dict:
    from datasketch import MinHash

    def signed(values: np.ndarray) -> MinHash:
        made = MinHash(num_hashes, seed=1, hashfunc=int, scheme="affine32")
        made.update_batch(values.tolist())
        return made

    pairs = np.load(path)
    return {"estimates": [signed(a).jaccard(signed(b)) for a, b in zip(pairs["a"], pairs["b"], strict=True)]}


def substring(folder: str, length: int) -> dict:
    from pydivsufsort import divsufsort, kasai

    texts = [json.loads(line)["text"] for path in sorted(Path(folder).iterdir()) for line in path.open()]
    data = "\0".join(texts).encode()
    del texts
    began = time.perf_counter()
    suffixes = divsufsort(data)
    repeated = kasai(data, suffixes) >= length
    repeated[1:] |= repeated[:-1].copy()  # both neighbours share the prefix
    starts = suffixes[repeated]
    change = np.zeros(len(data) + 1, np.int32)
    change[starts] += 1
    change[starts + length] -= 1
    return {"seconds": time.perf_counter() - began, "bytes": int((np.cumsum(change) > 0).sum())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("minhash", "signatures", "flat", "estimates", "substring"):
        parser.add_argument(f"--{name}", nargs=2)
    given = parser.parse_args()
    if given.minhash:
        found = minhash(*given.minhash)
    elif given.signatures:
        found = signatures(given.signatures[0], int(given.signatures[1]))
    elif given.flat:
        found = flat(given.flat[0], int(given.flat[1]))
    elif given.estimates:
        found = estimates(given.estimates[0], int(given.estimates[1]))
    else:
        found = substring(given.substring[0], int(given.substring[1]))
    json.dump(found, sys.stdout)
