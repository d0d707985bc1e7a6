from pathlib import Path

import pyarrow as pa
import pytest
from corpus import write_shard

from pretrain.tokenizing.text_shards import find_shards, id_hashes
from shards.errors import UserError
from shards.sink import ArrowSink


def test_runs_shard_folders_and_files_name_their_shards(tmp_path: Path) -> None:
    files = [write_shard(tmp_path / "run" / "shards" / "web" / f"{name}.arrow", ["text"]) for name in "ba"]
    (tmp_path / "run" / "ledger").mkdir()
    (tmp_path / "run" / "ledger" / "a.arrow").write_bytes(b"no text shard")
    assert find_shards([tmp_path / "run"]) == find_shards([tmp_path / "run" / "shards"]) == files[::-1]
    assert find_shards(files) == files


def test_linked_folders_are_entered_and_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    files = [write_shard(tmp_path / folder / "a.arrow", ["text"]) for folder in ("run", "elsewhere")]
    (tmp_path / "run" / "more").symlink_to("../elsewhere")
    assert find_shards([tmp_path / "run"]) == [files[0], tmp_path / "run" / "more" / "a.arrow"]
    (tmp_path / "run" / "gone").symlink_to("nowhere")
    with pytest.raises(UserError, match="run/gone: a link to nowhere, which is not there; mend or remove it"):
        find_shards([tmp_path / "run"])


def test_a_file_without_the_columns_of_a_text_shard_is_refused(tmp_path: Path) -> None:
    with ArrowSink(tmp_path / "a.arrow", pa.schema([("id", pa.string()), ("text", pa.string())])) as sink:
        sink.write(pa.record_batch({"id": ["a"], "text": ["b"]}))
    with pytest.raises(UserError, match=r"a\.arrow: no column url; name shards that `gristmill run` made"):
        find_shards([tmp_path])


def test_id_hashes_depend_on_the_seed() -> None:
    ids = pa.array(["a", "b"])
    assert (id_hashes(ids, 1) != id_hashes(ids, 2)).all()
