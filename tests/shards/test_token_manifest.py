from pathlib import Path

import pytest
from token_folder import write_token_folder

from shards.errors import RunError
from shards.token_manifest import (
    is_whole,
    read_shard_manifest,
    read_token_manifest,
    verify_tokens,
    write_token_manifest,
)
from shards.tokens import HELD_OUT, TRAIN


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_is_found_and_counted(tmp_path: Path) -> None:
    folder = write_token_folder(tmp_path)
    verify_tokens(folder)
    manifest = read_shard_manifest(folder / "manifests" / "a.json")
    assert is_whole(folder, "a", manifest)
    flip(folder / TRAIN / "a.arrow")
    assert not is_whole(folder, "a", manifest)
    with pytest.raises(RunError, match=r"a\.arrow: its sha256 is not the one in manifest\.json; run the same"):
        verify_tokens(folder)
    flip(folder / HELD_OUT / "b.arrow")
    with pytest.raises(RunError, match=r"manifest\.json and 1 more file is damaged; run"):
        verify_tokens(folder)


def test_the_digest_of_a_split_follows_its_files_and_the_tokenizer_alone(tmp_path: Path) -> None:
    folder = write_token_folder(tmp_path)
    whole = read_token_manifest(folder)
    assert whole.digest(TRAIN) != whole.digest(HELD_OUT)
    part = write_token_manifest(folder, whole.vocab_size, ["a"])
    assert part == read_token_manifest(folder)
    assert part.digest(TRAIN) != whole.digest(TRAIN)
    assert write_token_manifest(folder, whole.vocab_size, ["b", "a"]).digest(TRAIN) == whole.digest(TRAIN)
    assert whole.model_copy(update={"tokenizer_sha256": "1"}).digest(TRAIN) != whole.digest(TRAIN)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 3}', '{"version": 3, "shards": {}}'])
def test_a_damaged_manifest_is_named_with_the_remedy(tmp_path: Path, content: str) -> None:
    folder = write_token_folder(tmp_path)
    (folder / "manifest.json").write_text(content)
    with pytest.raises(
        RunError, match=r"manifest\.json: not a whole manifest \(.*\); run the same `gristmill tokenize`"
    ):
        read_token_manifest(folder)
