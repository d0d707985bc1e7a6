import pyarrow as pa
import pytest

from shards.token_figures import FIGURES, FiguresHasher
from shards.tokens import token_schema

COLUMNS = {
    "id": ["a", "b", "c"],
    "url": ["", "", ""],
    "source": ["web"] * 3,
    "text_hash": [5, 6, 2**64 - 1],
    "tokens": [[1, 2], [3], []],
    "num_bytes": [4, 3, 0],
    "masked": [[0, 1], [], []],
    "weight": [1, 2, 3],
    "bucket": ["", "high", "low"],
    "unit": ["web-00000-000"] * 3,
    "ledger_row": [0, 1, 2],
    "warc_file": ["web.warc.gz"] * 3,
    "warc_offset": [0, 10, 20],
}
CHANGED = {
    "text_hash": [5, 7, 2**64 - 1],
    "tokens": [[1], [2, 3], []],
    "num_bytes": [4, 3, 1],
    "masked": [[], [0, 1], []],
    "weight": [1, 2, 0],
    "bucket": ["h", "igh", "low"],
}


def rows(**changes: list[object]) -> pa.RecordBatch:
    schema = token_schema(100)
    return pa.RecordBatch.from_pydict(COLUMNS | changes, schema=schema)


def digest(*batches: pa.RecordBatch) -> str:
    hasher = FiguresHasher()
    for batch in batches:
        hasher.update(batch)
    return hasher.hexdigest()


def test_the_checksum_does_not_depend_on_batches() -> None:
    whole = rows()
    assert digest(whole) == digest(whole[:1], whole[1:1], whole[1:]) == digest(whole[:2], whole[2:])


@pytest.mark.parametrize("name", FIGURES)
def test_a_change_of_any_figure_changes_the_checksum(name: str) -> None:
    assert digest(rows(**{name: CHANGED[name]})) != digest(rows())  # type: ignore[arg-type]


def test_tokens_and_names_are_left_out() -> None:
    assert digest(rows(tokens=[[9, 2], [3], []], id=["x", "y", "z"], url=["u", "", ""])) == digest(rows())
