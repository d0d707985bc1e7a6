from pathlib import Path

import numpy as np
import pytest
from token_folder import DOCUMENTS, write_token_folder

from shards.errors import RunError, UserError
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments

ROWS = [row for rows in DOCUMENTS.values() for row in rows]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_documents_have_their_tokens_in_the_smallest_type_that_holds_the_vocabulary(
    tmp_path: Path, vocab_size: int, dtype: type
) -> None:
    documents = TokenDocuments(write_token_folder(tmp_path, vocab_size), TRAIN)
    assert len(documents) == len(ROWS)
    assert documents.num_tokens.tolist() == [len(tokens) for _, tokens, _, _ in ROWS]
    assert documents.weights.tolist() == [weight for *_, weight in ROWS]
    for i, (name, tokens, _, _) in enumerate(ROWS):
        assert documents.tokens(i, 0, len(tokens)).tolist() == tokens
        assert documents.tokens(i, 1, len(tokens)).dtype == dtype
        assert documents.provenance(i).id == name
        origin = documents.provenance(i)
        assert origin.url == f"https://mill.example/{name}"
        assert (origin.unit, origin.warc_file) == (name[0], f"{name[0]}.warc.gz")
        assert (origin.ledger_row, origin.warc_offset) == (int(name[1]), 100 * int(name[1]))
    assert len(TokenDocuments(tmp_path, HELD_OUT)) == 0


def test_masked_ranges_are_clipped_to_the_part_that_is_asked_for(tmp_path: Path) -> None:
    documents = TokenDocuments(write_token_folder(tmp_path), TRAIN)
    for i, (_, tokens, bounds, _) in enumerate(ROWS):
        masked = {t for first, last in zip(bounds[::2], bounds[1::2], strict=True) for t in range(first, last)}
        for start in range(len(tokens)):
            for end in range(start, len(tokens) + 1):
                ranges = documents.masked(i, start, end)
                assert all(first < last for first, last in ranges)
                assert {start + t for ranged in ranges for t in range(*ranged)} == masked & set(range(start, end))


def test_a_folder_that_is_not_finished_or_not_whole_is_refused(tmp_path: Path) -> None:
    folder = write_token_folder(tmp_path / "web")
    with pytest.raises(UserError, match=r"holds several sources; name one of .*web$"):
        TokenDocuments(tmp_path, TRAIN)
    with pytest.raises(UserError, match=r"nowhere: no token folder; make one with"):
        TokenDocuments(tmp_path / "nowhere", TRAIN)
    shard = folder / TRAIN / "a.arrow"
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(
        RunError, match=r"a\.arrow: expected [\d,]+ bytes as manifest\.json says, found [\d,]+; run the same"
    ):
        TokenDocuments(folder, TRAIN)
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        TokenDocuments(folder, TRAIN)
