from pathlib import Path

import numpy as np
import pytest
from token_folder import DOCUMENTS, write_token_folder

from shards.errors import RunError
from shards.token_map import TokenLayout, TokenMap
from shards.tokens import TRAIN, TokenDocuments

ROWS = [row for rows in DOCUMENTS.values() for row in rows]


@pytest.mark.parametrize("vocab_size", [300, 100_000])
def test_the_layout_says_where_each_token_lies(tmp_path: Path, vocab_size: int) -> None:
    documents = TokenDocuments(write_token_folder(tmp_path, vocab_size), TRAIN)
    layout, tokens = documents.layout, documents.token_map()
    assert layout.first.tolist() == [0, sum(len(row[1]) for row in DOCUMENTS["a"]), sum(len(row[1]) for row in ROWS)]
    kind = np.uint16 if tokens.item_bytes == 2 else np.uint32
    for stretch, rows in enumerate(DOCUMENTS.values()):
        data = documents.parts[layout.file[stretch]].path.read_bytes()
        expected = [token for row in rows for token in row[1]]
        assert np.frombuffer(data, kind, len(expected), layout.byte[stretch]).tolist() == expected
    first = documents.first_token
    masked = [first[i] + bound for i, (_, _, bounds, _) in enumerate(ROWS) for bound in bounds]
    assert layout.masked.tolist() == masked


def test_joined_layouts_are_one_after_the_other(tmp_path: Path) -> None:
    documents = TokenDocuments(write_token_folder(tmp_path), TRAIN)
    one = documents.layout
    both = TokenLayout.joined([one, one], [2, 2])
    num_tokens = int(one.first[-1])
    assert both.first.tolist() == [*one.first, *(one.first[1:] + num_tokens)]
    assert both.file.tolist() == [0, 1, 2, 3]
    assert both.byte.tolist() == [*one.byte, *one.byte]
    assert both.masked.tolist() == [*one.masked, *(one.masked + num_tokens)]


def test_a_file_is_mapped_and_a_block_is_checked_when_it_is_first_needed(tmp_path: Path) -> None:
    documents = TokenDocuments(write_token_folder(tmp_path), TRAIN)
    tokens = TokenMap(documents.layout, documents.parts, 2)
    assert tokens.addresses.tolist() == [0, 0]
    second = tokens.layout.first[1:2]
    tokens.prepare(second, np.array([1]))
    assert [address > 0 for address in tokens.addresses] == [False, True]
    path = documents.parts[0].path
    data = bytearray(path.read_bytes())
    data[int(tokens.layout.byte[0])] ^= 1
    path.write_bytes(data)
    tokens.prepare(second, np.array([1]))
    with pytest.raises(RunError, match=rf"a\.arrow: bytes 0 to {len(data) - 1:,} are not as they were written; run"):
        tokens.prepare(np.array([0]), np.array([1]))
