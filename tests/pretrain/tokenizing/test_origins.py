import logging
from pathlib import Path

import pyarrow as pa
import pytest
from corpus import make_texts, write_shard

from pretrain.tokenizing.origins import ledger_rows
from pretrain.tokenizing.tokenize import tokenize_shards
from shards.errors import RunError
from shards.sink import ArrowSink
from shards.tokens import TRAIN, UNKNOWN, Provenance, TokenDocuments

TEXTS = make_texts("en", 6)


def write_run(run: Path, kept: list[bool]) -> Path:
    """A shard of documents, and the ledger of their unit, in which rows that are not kept stand between them."""
    ids = [f"d{i}" for i in range(len(TEXTS))]
    path = write_shard(
        run / "shards" / "web" / "web-00000-000.arrow",
        TEXTS,
        id=pa.array(ids),
        warc_file=pa.array([None, *(f"{i}.warc.gz" for i in range(1, 6))]),
        warc_offset=pa.array([None, *(1000 * i for i in range(1, 6))], pa.int64()),
    )
    left = iter(ids)
    rows = {
        "id": pa.array([next(left) if is_kept else "dropped" for is_kept in kept]),
        "drop_reasons": pa.array([[] if is_kept else ["a.b"] for is_kept in kept], pa.list_(pa.string())),
    }
    batch = pa.RecordBatch.from_pydict(rows)
    with ArrowSink(run / "ledger" / path.name, batch.schema) as sink:
        sink.write(batch)
    return path


def origins(shard: Path, tokenizer_path: Path, out: Path) -> dict[str, Provenance]:
    tokenize_shards([shard], tokenizer_path, out, held_out_fraction=0, report=lambda line: None)
    documents = TokenDocuments(out / "web", TRAIN)
    return {(origin := documents.provenance(i)).id: origin for i in range(len(documents))}


def test_a_token_shard_names_unit_ledger_row_and_record_of_each_document(tmp_path: Path, tokenizer_path: Path) -> None:
    shard = write_run(tmp_path / "run", [False, True, True, False, True, True, False, True, True, False])
    found = origins(shard, tokenizer_path, tmp_path / "tokens")
    assert [found[f"d{i}"].ledger_row for i in range(6)] == [1, 2, 4, 5, 7, 8]
    assert {origin.unit for origin in found.values()} == {"web-00000-000"}
    assert (found["d0"].warc_file, found["d0"].warc_offset) == ("", UNKNOWN)
    assert (found["d5"].warc_file, found["d5"].warc_offset) == ("5.warc.gz", 5000)


def test_shards_beside_no_ledger_have_no_rows_of_it(tmp_path: Path, tokenizer_path: Path) -> None:
    shard = write_shard(tmp_path / "web" / "a.arrow", TEXTS)
    assert ledger_rows(shard) is None
    for origin in origins(shard, tokenizer_path, tmp_path / "tokens").values():
        assert (origin.unit, origin.ledger_row, origin.warc_file, origin.warc_offset) == ("a", UNKNOWN, "", UNKNOWN)


def test_a_ledger_of_other_documents_is_not_used_and_a_damaged_one_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shard = write_run(tmp_path / "run", [True] * 5 + [False])
    with caplog.at_level(logging.WARNING):
        assert ledger_rows(shard) is None
    assert "event=ledger_not_used" in caplog.text
    path = tmp_path / "run" / "ledger" / shard.name
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(RunError, match=r"ledger/web-00000-000\.arrow: not a whole Arrow file"):
        ledger_rows(shard)
