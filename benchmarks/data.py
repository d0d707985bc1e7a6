"""Loaders of packed rows, one core, all in one run: `make bench-data`.

All sides hand over the same rows: int32 tokens of 32 rows of 2,048 and where their documents begin, in an array of
their own. Ours adds the labels, which the others leave to the device. Ours and MosaicML's come shuffled, those of
`datasets` as slices in their order. Rates are of CPU time after a first epoch; a digest over all rows of an epoch must
be equal.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from benchmarks.rows import ROOT, Rows, run_on
from pretrain.config import ModelConfig, TokenSourceConfig, TrainConfig
from pretrain.order.loader import Loader
from pretrain.order.plan import Plan, keep_plan, make_plan
from pretrain.presets import PRESETS
from shards.atomic import write_bytes, write_json
from shards.token_manifest import MANIFESTS, TOKENIZER, ShardManifest, write_token_manifest
from shards.token_sink import TokenSink
from shards.tokens import HELD_OUT, TRAIN, token_schema

PEERS = ROOT / ".venv-peers-data" / "bin" / "python"
ROW_LENGTH, BATCH_ROWS = 2048, 32
VOCAB_SIZE = 50_000
NUM_BATCHES = 20_000  # of which the slowest thousandth is looked at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--documents", type=int, default=40_000)
    parser.add_argument("--ours", type=Path, help="measure our loader on this folder, and print JSON")
    parser.add_argument("--start", type=Path, help="measure the start on this folder, and print JSON")
    options = parser.parse_args()
    if options.ours:
        return print(json.dumps(ours(options.ours)))
    if options.start:
        return print(json.dumps(start(options.start)))
    if not PEERS.exists():
        sys.exit("the peers are not installed; `make bench-data` installs them into .venv-peers-data")
    rows = Rows("data")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        compare(rows, folder / "web", options.documents, options.repeats)
        many = folder / "many"
        write_tokens(many / "tokens", 20_000, num_shards=1_000)
        first, again = (json.loads(run_on("0", _command("--start", many))[1]) for _ in range(2))
        rows.add("1,000 token shards to the first batch, rows made", first, None, "s")
        rows.add("1,000 token shards to the first batch, rows mapped", again, None, "s")
    rows.write()
    return None


def compare(rows: Rows, folder: Path, num_documents: int, repeats: int) -> None:
    write_tokens(folder / "tokens", num_documents, num_shards=4)
    write_rows(keep_plan(plan_of(folder)), folder)
    peers = [PEERS, ROOT / "benchmarks" / "peers" / "data.py"]
    run_on("0", [*peers, "write", folder])
    commands = {
        "ours": _command("--ours", folder),
        "MosaicML streaming, MDS, py1e": [*peers, "streaming", folder],
        "datasets, map-style slices": [*peers, "datasets", folder],
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            results[name].append(json.loads(run_on("0", command)[1].splitlines()[-1]))
    digests = {name: {result["digest"] for result in of} for name, of in results.items()}
    if len(set.union(*digests.values())) != 1:
        sys.exit(f"the sides hand over different rows: {digests}")
    rates = {name: statistics.median(result["rate"] for result in of) for name, of in results.items()}
    for name in list(commands)[1:]:
        rows.add(f"loader, against {name}", rates["ours"] / 1e6, rates[name] / 1e6, "M tokens/s")
    tail = statistics.median(result["tail"] for result in results["ours"])
    rows.add(f"slowest thousandth of {NUM_BATCHES:,} batches, CPU time", tail, None, "medians")


def ours(folder: Path) -> dict[str, float]:
    """Rate, digest of an epoch, and the slowest thousandth of batches as a multiple of the median."""
    plan = plan_of(folder)
    loader, num_rows = Loader(plan), plan.sources[0].num_rows
    buffer = np.empty(loader.buffer_length, np.int32)
    digest = taken = 0
    for step in range(-(-num_rows // BATCH_ROWS)):
        batch = loader.batch(step, buffer)
        bounds = np.flatnonzero(batch.starts % ROW_LENGTH == 0)
        for row in range(min(BATCH_ROWS, num_rows - taken)):
            starts = batch.starts[bounds[row] : bounds[row + 1]] - row * ROW_LENGTH
            digest += xxhash.xxh3_64_intdigest(batch.tokens_BT[row].tobytes() + starts.tobytes())
        taken += BATCH_ROWS
    seconds = []
    for step in range(NUM_BATCHES):
        began = time.process_time()
        loader.batch(step, buffer)
        seconds.append(time.process_time() - began)
    median, slowest = np.quantile(seconds, [0.5, 0.999])
    rate = NUM_BATCHES * BATCH_ROWS * ROW_LENGTH / sum(seconds)
    return {"rate": rate, "digest": digest % 2**64, "tail": slowest / median}


def start(folder: Path) -> float:
    """Seconds from the settings to the first batch."""
    began = time.perf_counter()
    Loader(keep_plan(plan_of(folder))).batch(0)
    return time.perf_counter() - began


def plan_of(folder: Path) -> Plan:
    config = TrainConfig(
        out=str(folder / "out"),
        steps=NUM_BATCHES,
        sequence_length=ROW_LENGTH,
        batch_size=BATCH_ROWS,
        model=ModelConfig(**PRESETS["25m"]),
        source={"web": TokenSourceConfig(tokens=str(folder / "tokens"), max_epochs=1e6)},
    )
    return make_plan(config)


def write_rows(plan: Plan, folder: Path) -> None:
    """The rows of an epoch for the peers: tokens int32[rows, T], and where segments begin."""
    from pretrain.order.batch import fill

    planned = plan.planned
    batch = fill(planned.tokens, planned.rows, np.arange(planned.rows.num_rows))
    np.save(folder / "tokens.npy", batch.tokens_BT)
    np.save(folder / "starts.npy", batch.starts)


def write_tokens(folder: Path, num_documents: int, *, num_shards: int) -> None:
    """A token folder of random tokens, with lengths as of web pages."""
    generator = np.random.default_rng(0)
    schema = token_schema(VOCAB_SIZE)
    write_bytes(folder / TOKENIZER, b"{}")
    stems = [f"web-{number:05d}-000" for number in range(num_shards)]
    for stem in stems:
        files = {}
        for split, count in ((TRAIN, num_documents // num_shards), (HELD_OUT, 0)):
            lengths = generator.lognormal(6, 1.2, count).astype(np.int64) + 2
            tokens = generator.integers(0, VOCAB_SIZE, lengths.sum()).astype(np.uint16)
            names = pa.array([f"{stem}-{i}" for i in range(count)], pa.string())
            columns = {
                "id": names,
                "url": names,
                "source": pa.array(["web"] * count, pa.string()),
                "text_hash": pa.array(generator.integers(1 << 60, 1 << 63, count).astype(np.uint64)),
                "tokens": pa.LargeListArray.from_arrays(np.cumsum([0, *lengths]), tokens),
                "num_bytes": pa.array(4 * lengths),
                "masked": pa.array([[]] * count, pa.list_(pa.int64())),
                "weight": pa.array(np.ones(count, np.int64)),
                "bucket": pa.array([""] * count, pa.string()),
                "unit": pa.array([stem] * count, pa.string()),
                "ledger_row": pa.array(np.arange(count)),
                "warc_file": pa.array(["web.warc.gz"] * count, pa.string()),
                "warc_offset": pa.array(np.arange(count)),
            }
            batch = pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)
            with TokenSink(folder / split / f"{stem}.arrow", VOCAB_SIZE, synced=False) as sink:
                sink.write(batch)
            files[split] = sink.proof
        manifest = ShardManifest(input_sha256="", held_out_fraction=0.01, weight_column=None, files=files)
        write_json(folder / MANIFESTS / f"{stem}.json", manifest.model_dump())
    write_token_manifest(folder, VOCAB_SIZE, stems)


def _command(flag: str, folder: Path) -> list[str | Path]:
    return [sys.executable, "-m", "benchmarks.data", flag, folder]


if __name__ == "__main__":
    main()
