"""Near-duplicates by MinHash: sign → bucket → verify → choose representatives → verdicts.

    texts ──sign──▶ band keys, shingle sets ──sort a band──▶ buckets ──true Jaccard──▶ edges ──keep order──▶ verdicts

Each step writes files that the next one reads in parts, and a task whose file exists is not done again. Besides the
verdicts, `edges.arrow` holds every verified pair and `alarms.json` what a person should look at. The steps are the
modules of `dedup.lsh`.

Memory: one byte a document in the main process (8 with transitive clusters), and `executor.task_memory` for the rest.
More memory saves reading: keys are read once for every part of them (`lsh.edges`).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from dedup.files.documents import UnitFiles, format_ids, keep_order
from dedup.index import Index
from dedup.keep import KeepConfig
from dedup.lsh.components import Components
from dedup.lsh.edge_runs import EDGE, EdgeRuns
from dedup.lsh.edges import Comparison, collect, edge_tasks, find_edges
from dedup.lsh.leaders import decision_order, to_representatives
from dedup.lsh.removals import RemovedDocuments
from dedup.lsh.replay import connected_rows, near_rows
from dedup.lsh.shape import best_shape, s_curve
from dedup.lsh.shape import refusal as shape_refusal
from dedup.lsh.shingles import Unit
from dedup.lsh.signing import KEY, SIGNED, SignedFiles, Signing, Verify, sign_by_prefix
from dedup.normal_form import VERSION
from dedup.replay import documents_of, ids_of, remove_for_others
from shards.atomic import write_json
from shards.errors import UserError
from shards.exchange import ALARMS_FILE, EDGES_FILE, Block, Cost, Curve, Executor
from shards.replay import FinishedRun
from shards.schema import COPIES
from shards.sink import ArrowSink

EDGES = pa.schema(
    [
        pa.field("id_a", pa.string()),  # the first of the two in keep order
        pa.field("id_b", pa.string()),
        pa.field("similarity", pa.float64()),  # null where pairs were not verified
    ]
)
_MAX_SIGNATURE = 512
_NUM_HASHES = 128  # datasketch's
_EDGE_BYTES = 400  # of an edge and its two documents while representatives are chosen


class MinHashConfig(KeepConfig):
    version: ClassVar[int] = 3  # 3: normal forms are compared
    normal_form: ClassVar[int] = VERSION
    reason: ClassVar[str] = "dedup.near"
    removes_copies: ClassVar[bool] = True
    report_files: ClassVar[tuple[str, ...]] = (EDGES_FILE, ALARMS_FILE)

    ngram: int = Field(5, ge=1)  # words or characters a shingle
    unit: Unit = "words"
    segmented: bool = False  # words of Chinese, Japanese, Thai … are those of a segmenter
    num_hashes: int | None = Field(
        None, ge=1, le=10_000
    )  # of a shape that follows from the threshold; 128 if not given
    bands: int = Field(0, ge=1, le=10_000)  # where bands and rows are left out, the threshold gives both
    rows: int = Field(0, ge=1)  # hashes a band
    seed: int = Field(1, ge=0, lt=1 << 32)
    threshold: float = Field(0.75, gt=0, le=1)  # least Jaccard similarity of a pair, so of a removed one to its twin
    verify: Verify = "shingles"  # "signature": estimated from stored signatures, up to 512 hashes
    clusters: Literal["leaders", "transitive"] = "leaders"
    index: str | None = None  # folder of earlier kept documents, with which those of this run are compared too

    @model_validator(mode="before")
    @classmethod
    def _shape_of_threshold(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "bands" in values or "rows" in values:
            return values
        threshold = values.get("threshold", cls.model_fields["threshold"].default)
        num_hashes = values.get("num_hashes")
        num_hashes = _NUM_HASHES if num_hashes is None else num_hashes
        if not (type(num_hashes) is int and 1 <= num_hashes <= 10_000):
            return values | {"bands": 1, "rows": 1}  # refused for `num_hashes`
        if not (isinstance(threshold, float | int) and 0 < threshold <= 1):
            return values | {"bands": 1, "rows": 1}  # refused for `threshold`
        bands, rows = best_shape(float(threshold), num_hashes)
        return values | {"bands": bands, "rows": rows}

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not (self.bands and self.rows):
            raise ValueError("bands and rows go together: give both, or none for those that fit the threshold best")
        hashes = self.bands * self.rows
        if self.num_hashes is not None and hashes > self.num_hashes:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows are {hashes} hashes, more than num_hashes = {self.num_hashes};"
                " give the shape or the number of hashes"
            )
        if found := shape_refusal(self.bands, self.rows, self.threshold):
            raise ValueError(found)
        if self.verify == "signature" and hashes > _MAX_SIGNATURE:
            raise ValueError(
                f"verify = 'signature' stores {hashes} hashes a document, more than its text;"
                f" above {_MAX_SIGNATURE} hashes use verify = 'shingles'"
            )
        if self.verify == "none" and self.clusters == "leaders":
            raise ValueError("verify = 'none' goes with clusters = 'transitive': leaders are chosen by similarity")
        if self.segmented and self.unit == "characters":
            raise ValueError("segmented = true needs words, and unit = 'characters' has none; leave one out")
        return self

    @property
    def index_folder(self) -> str | None:
        return self.index

    @property
    def min_similarity(self) -> float | None:
        return self.threshold

    @property
    def cost(self) -> Cost:
        signature = 4 * self.bands * self.rows if self.verify == "signature" else 0
        return Cost(
            seconds_per_mb=0.0086 + 6.1e-6 * self.bands * self.rows,
            bytes_per_text_byte=3,
            disk_per_document=KEY.itemsize * self.bands + SIGNED.itemsize + signature,
            disk_per_text_byte=0 if signature else 0.65,  # 4 bytes a shingle
            driver_seconds_per_document=1.5e-6,
            driver_bytes_per_document=8 if self.clusters == "transitive" else 1,
        )

    def curve(self) -> Curve:
        half_at = (1 - 0.5 ** (1 / self.bands)) ** (1 / self.rows)
        return Curve(self.bands, self.rows, s_curve(self.bands, self.rows), half_at)

    def moves_threshold(self, key: str, new: Self) -> bool:
        return key == "threshold"

    def replay_refusal(self, key: str, new: Self) -> str | None:
        if new.threshold < self.threshold:
            return f"pairs below {self.threshold} were not kept; to compare again"
        if key == "threshold" and self.verify == "none":
            return "the similarity of pairs was not measured; to measure it"
        return super().replay_refusal(key, new)

    def columns(self) -> pa.Schema:
        return pa.schema([COPIES])

    def digests(self) -> dict[str, str]:
        return Index.of(self, "minhash").digests()

    def resolve(self, units: Sequence[Block], folder: Path, executor: Executor) -> None:
        units, memory = sorted(units, key=lambda unit: unit.number), executor.task_memory
        signing = Signing(
            self.ngram, self.unit, self.segmented, self.bands, self.rows, self.seed, self.verify, self.keep_by
        )
        for _ in executor.map(partial(sign_by_prefix, folder=folder / "signed", signing=signing), units):
            pass  # results are files

        signed = SignedFiles.open(folder / "signed", units, self.bands, self._earlier())
        tasks = edge_tasks(self.bands, len(signed), memory)
        comparison = Comparison(signed, self.verify, self.threshold, memory)
        for _ in executor.map(partial(find_edges, comparison=comparison, folder=folder / "edges"), tasks):
            pass

        runs, alarms = collect(folder / "edges", tasks)
        with RemovedDocuments(folder / "removed.bin") as removed, ArrowSink(folder / EDGES_FILE, EDGES) as sink:
            decide = self._connect if self.clusters == "transitive" else _lead
            decide(signed, EdgeRuns(runs), removed, sink, memory)
        removed.write(folder, units, signed, memory)
        write_json(folder / ALARMS_FILE, alarms, synced=False)

    def _earlier(self) -> UnitFiles | None:
        return Index.of(self, "minhash").files()

    def _connect(
        self, signed: SignedFiles, runs: EdgeRuns, removed: RemovedDocuments, sink: ArrowSink, memory: int
    ) -> None:
        """Remove all documents of a connected component but its first."""
        components = Components(signed)
        for edges, numbers, documents in _parts(signed, runs, memory):
            _write_edges(sink, edges, documents)
            components.join(numbers[edges["first"]], numbers[edges["second"]])
        for edges in components.removed(memory, are_signatures=self.verify == "signature"):
            edges, numbers = _indexed(edges)
            removed.add(edges, numbers, signed.documents(numbers))

    def replay(self, run: FinishedRun, *, changed: bool) -> None:
        """Over the pairs that the run verified; nobody knows which documents a row that is new here is similar to."""
        new = run.possible & ~run.entered
        remove_for_others(run, self.threshold)
        self._replay_pairs(run, changed=changed)
        run.doubt(new & run.possible, "uncompared")

    def _replay_pairs(self, run: FinishedRun, *, changed: bool) -> None:
        table = run.edges
        if changed:
            table = table.filter(pc.greater_equal(table["similarity"], self.threshold))
        ends = pa.chunked_array([*table["id_a"].chunks, *table["id_b"].chunks], pa.string()).combine_chunks()
        found = run.find(ends, run.entered).reshape(2, -1)
        here = (found >= 0).all(axis=0)  # the other pairs have a document of another run
        rows, positions = np.unique(found[:, here], return_inverse=True)
        if not changed and run.sure[rows].all():
            run.drop_recorded()  # all similar documents are still there
            return
        if self.verify == "none":
            raise UserError(
                f"{self.name}: other documents reach it, and of a bucket it keeps no more pairs than connect it; "
                "only a run with these settings decides them"
            )
        edges = np.zeros(int(here.sum()), EDGE)
        edges["first"], edges["second"] = positions.reshape(2, -1)
        edges["similarity"] = pc.fill_null(table["similarity"].cast(pa.float64()), 0.0).to_numpy()[here]
        sure, possible = run.sure[rows], run.possible[rows]
        if self.clusters == "transitive":
            rank = np.empty(len(rows), np.int64)
            rank[keep_order(documents_of(run, rows, self.keep_by))] = np.arange(len(rows))
            removed, unsure, uncompared = connected_rows(edges, rank, sure, possible)
        else:
            removed, unsure, uncompared = near_rows(edges, ids_of(run, rows), sure, possible)
        run.drop(rows[removed])
        run.unsure(rows[unsure])
        run.doubt(rows[uncompared], "uncompared")


def _lead(signed: SignedFiles, runs: EdgeRuns, removed: RemovedDocuments, sink: ArrowSink, memory: int) -> None:
    """Remove each document that has an edge to a kept one."""
    is_removed = np.zeros(len(signed) - signed.num_earlier, np.bool_)
    for edges, numbers, documents in _parts(signed, runs, memory):
        _write_edges(sink, edges, documents)
        new = numbers >= signed.num_earlier
        removed_before = np.zeros(len(numbers), np.bool_)
        removed_before[new] = is_removed[numbers[new] - signed.num_earlier]
        twin_edges = to_representatives(edges, removed_before)
        is_removed[numbers[twin_edges["second"]] - signed.num_earlier] = True
        removed.add(twin_edges, numbers, documents)


def _parts(signed: SignedFiles, runs: EdgeRuns, memory: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(edges, whose ends index the next two; document numbers; SIGNED) part by part, all in decision order."""
    for part in runs.parts(memory // _EDGE_BYTES):
        edges, numbers = _indexed(part)
        documents = signed.documents(numbers)
        yield decision_order(edges, documents), numbers, documents


def _indexed(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(EDGE, the ascending document numbers that its ends index now)."""
    numbers, indices = np.unique(np.concatenate([edges["first"], edges["second"]]), return_inverse=True)
    edges["first"], edges["second"] = indices.reshape(2, -1)
    return edges, numbers


def _write_edges(sink: ArrowSink, edges: np.ndarray, documents: np.ndarray) -> None:
    ids = [format_ids(documents["id"][edges[end]]) for end in ("first", "second")]
    similarities = pa.array(edges["similarity"], from_pandas=True)  # nan becomes null
    sink.write(pa.RecordBatch.from_arrays([*ids, similarities], schema=EDGES))
