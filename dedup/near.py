"""Near-duplicates by MinHash: sign → bucket → verify → choose leaders → verdicts.

    texts ──sign──▶ band keys, shingle sets ──sort a band──▶ buckets ──true Jaccard──▶ edges ──keep order──▶ verdicts

Each step leaves files that the next one maps, and a step whose file is there is not done again. Besides the verdicts
`edges.arrow` holds every verified pair and `alarms.json` what a person should look at.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from dedup.bands import SIGNED, Signing, Verify, sign
from dedup.documents import Keep, UnitFiles, format_ids
from dedup.edges import Comparison, band_groups, collect, find_edges
from dedup.leaders import choose
from dedup.verdicts import write_verdicts
from shards.atomic import write_json
from shards.exchange import ExchangeUnit, Executor, GlobalStageConfig
from shards.sink import ArrowSink

EDGES = pa.schema(
    [
        pa.field("id_a", pa.string()),  # the first of the two in keep order
        pa.field("id_b", pa.string()),
        pa.field("similarity", pa.float64()),
    ]
)
GIANT_GROUP = 1_000  # documents removed for one twin: seldom copies of an article, often what all pages of a site share
_MAX_ROWS = 100
_MAX_SIGNATURE = 512
_EDGES_AT_ONCE = 1 << 18


class MinHashConfig(GlobalStageConfig):
    version: ClassVar[int] = 1
    reason: ClassVar[str] = "dedup.near"

    ngram: int = Field(5, ge=1)  # words a shingle
    bands: int = Field(ge=1, le=10_000)
    rows: int = Field(ge=1)  # hashes a band
    seed: int = Field(1, ge=0, lt=1 << 32)
    threshold: float = Field(0.75, gt=0, le=1)  # least Jaccard similarity of a removed document to its twin
    verify: Verify = "shingles"  # "signature": estimated from stored signatures, up to 512 hashes
    keep: Keep = "longest"

    @model_validator(mode="after")
    def _possible_shape(self) -> Self:
        if self.rows > _MAX_ROWS:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows match only documents that are almost equal, since a band"
                f" matches with probability similarity^{self.rows}; the paper's '20 buckets of 450 hashes' are"
                f" bands = 450, rows = 20; at most {_MAX_ROWS} rows are allowed"
            )
        if self.verify == "signature" and self.bands * self.rows > _MAX_SIGNATURE:
            raise ValueError(
                f"verify = 'signature' stores {self.bands * self.rows} hashes a document, more than its text;"
                f" above {_MAX_SIGNATURE} hashes use verify = 'shingles'"
            )
        return self

    def resolve(self, units: Sequence[ExchangeUnit], folder: Path, executor: Executor) -> None:
        units = sorted(units, key=lambda unit: unit.number)
        signing = Signing(self.ngram, self.bands, self.rows, self.seed, self.verify, self.keep)
        for _ in executor.map(partial(sign, folder=folder / "signed", signing=signing), units):
            pass  # results are files

        signed = UnitFiles.open(folder / "signed", units)
        groups = band_groups(self.bands, len(signed))
        comparison = Comparison(signed, self.verify, self.threshold)
        for _ in executor.map(partial(find_edges, comparison=comparison, folder=folder / "edges"), groups):
            pass

        edges, alarms = collect(folder / "edges", groups)
        numbers = np.unique(np.concatenate([edges["kept"], edges["other"]]))
        documents = signed.documents(numbers, SIGNED)
        removed = choose(edges, numbers, documents)
        kept, other = (documents[np.searchsorted(numbers, removed[end])] for end in ("kept", "other"))

        _write_edges(folder / "edges.arrow", edges, numbers, documents)
        write_json(folder / "alarms.json", alarms + _giant_groups(kept["id"]))
        write_verdicts(folder, units, other["address"], kept["id"], removed["similarity"])


def _write_edges(path: Path, edges: np.ndarray, numbers: np.ndarray, documents: np.ndarray) -> None:
    with ArrowSink(path, EDGES) as sink:
        for first in range(0, len(edges), _EDGES_AT_ONCE):
            part = edges[first : first + _EDGES_AT_ONCE]
            ids = [format_ids(documents["id"][np.searchsorted(numbers, part[end])]) for end in ("kept", "other")]
            sink.write(pa.RecordBatch.from_arrays([*ids, pa.array(part["similarity"])], schema=EDGES))


def _giant_groups(twins: np.ndarray) -> list[dict[str, Any]]:
    ids, sizes = np.unique(twins, axis=0, return_counts=True)
    giant = sizes >= GIANT_GROUP
    return [
        {"alarm": "one document stands for very many", "id": id, "removed": int(size)}
        for id, size in zip(format_ids(ids[giant]).to_pylist(), sizes[giant], strict=True)
    ]
