"""Folders of a real S3 server (moto), worked on by way of mirrors."""

import errno
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from s3_server import Faults, Proxy

from dedup.files.documents import load_npy, save_npy
from shards import mirror
from shards.atomic import append_synced, atomic_file, read_journal, write_bytes, write_json
from shards.errors import RunError, UserError
from shards.sink import ArrowSink, read_table


def test_paths_on_this_disk_are_themselves(tmp_path: Path) -> None:
    assert mirror.local(tmp_path / "x") == tmp_path / "x"
    assert mirror.local(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert mirror.address(tmp_path) is None
    assert not mirror.exists(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        mirror.read_bytes(tmp_path / "none")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://me:word@bucket/x", "holds a login or a signature"),
        ("az://box/x?sig=word", "holds a login or a signature"),
        ("s3://bucket", "s3://bucket: names no folder of a bucket; write s3://BUCKET/NAME"),
        ("s3://bucket/a/../b", "names no folder of a bucket"),
        ("https://me:word@host/x", "runs lie on this disk or behind s3://, gs://, az://"),
    ],
)
def test_an_address_that_is_no_folder_of_a_store_is_refused_without_its_secrets(url: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        mirror.local(url)
    assert says in str(error.value)
    assert "word" not in str(error.value)


@pytest.mark.parametrize("url", ["s3://bucket/a/b", "s3:/bucket/a/b", "S3://bucket/a/b/"])
def test_a_path_in_a_mirror_is_shown_as_its_url(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path / "of mine"))
    path = mirror.local(Path(url) if ":/" in url and "://" not in url else url) / "shards" / "x.arrow"
    assert mirror.address(path) == "s3://bucket/a/b/shards/x.arrow"
    assert mirror.shown(f"no '{path}': see {path.parents[1]}, too") == (
        "no 's3://bucket/a/b/shards/x.arrow': see s3://bucket/a/b, too"
    )


def test_files_of_one_mirror_are_read_in_another(s3: Proxy) -> None:
    one, other = mirror.local(s3.folder), mirror.local(s3.folder)
    schema = pa.schema([("id", pa.string())])
    with ArrowSink(one / "a" / "x.arrow", schema) as sink:
        sink.write(pa.RecordBatch.from_pylist([{"id": "é"}], schema))
    save_npy(one / "x.npy", np.arange(3))
    write_json(one / "x.json", {"a": 1})
    assert read_table(other / "a" / "x.arrow").to_pylist() == [{"id": "é"}]
    assert load_npy(other / "x.npy").tolist() == [0, 1, 2]
    assert mirror.read_bytes(other / "x.json") == b'{\n "a": 1\n}\n'
    assert s3.requests == Counter(PUT=3, GET=3)


def test_what_a_mirror_has_put_it_does_not_get(s3: Proxy) -> None:
    one = mirror.local(s3.folder)
    write_bytes(one / "x", b"1")
    assert mirror.exists(one / "x")
    assert mirror.read_bytes(one / "x") == b"1"
    assert s3.requests == Counter(PUT=1)


def test_a_file_that_is_not_there_is_missing_as_on_disk(s3: Proxy) -> None:
    one = mirror.local(s3.folder)
    assert not mirror.exists(one / "x.arrow")
    with pytest.raises(RunError, match=r"x\.arrow: missing"):
        read_table(one / "x.arrow")
    with pytest.raises(FileNotFoundError):
        mirror.read_bytes(one / "x")


def test_listings_have_files_of_the_store_and_those_that_it_does_not_list_yet(s3: Proxy) -> None:
    one, other = mirror.local(s3.folder), mirror.local(s3.folder)
    for name in ("a/x.json", "a/y.arrow", "b/z.json", "c.json"):
        write_bytes(one / name, b"")
    (one / "a" / "scratch.json").write_bytes(b"")  # of this process only
    write_bytes(other / "b" / "w.json", b"")
    found = ["a/x.json", "b/w.json", "b/z.json"]
    assert [path.relative_to(other).as_posix() for path in mirror.glob(other, "*/*.json")] == found
    assert [path.name for path in mirror.glob(other / "a", "*")] == ["x.json", "y.arrow"]
    assert [path.name for path in mirror.glob(other, "**/*.json")] == ["x.json", "w.json", "z.json", "c.json"]
    assert mirror.folders(other) == ["a", "b"]
    s3.faults = Faults(late_s=60)
    assert [path.relative_to(one).as_posix() for path in mirror.glob(one, "*/*.json")] == ["a/x.json", "b/z.json"]


def test_files_are_removed_from_the_store_too(s3: Proxy) -> None:
    one, other = mirror.local(s3.folder), mirror.local(s3.folder)
    for name in ("a/x", "a/b/y", "c"):
        write_bytes(one / name, b"")
    mirror.unlink(one / "c")
    mirror.unlink(one / "none")
    s3.faults = Faults(late_s=60)
    mirror.delete_below(one / "a")
    s3.faults = Faults()
    assert mirror.glob(other, "**/*") == []


def test_a_private_file_is_not_put_and_one_that_failed_is_not_there(s3: Proxy) -> None:
    one = mirror.local(s3.folder)
    with atomic_file(one / "owners", private=True) as file:
        file.write(b"1")
    with pytest.raises(RunError, match="the scratch disk is full"), atomic_file(one / "x"):
        raise OSError(errno.ENOSPC, "full")
    assert (one / "owners").read_bytes() == b"1"
    assert os.listdir(one) == ["owners"]  # noqa: PTH208
    assert s3.requests == Counter()


def test_lines_of_a_journal_are_kept_whoever_appends_them(s3: Proxy) -> None:
    one, other = mirror.local(s3.folder), mirror.local(s3.folder)
    assert read_journal(one / "kills.jsonl") == b""
    append_synced(one / "kills.jsonl", b"a\n")
    append_synced(other / "kills.jsonl", b"b\n")
    assert sorted(read_journal(mirror.local(s3.folder) / "kills.jsonl").splitlines()) == [b"a", b"b"]


def test_a_store_that_fails_is_one_line_without_secrets(s3: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shards.remote.TRIES", 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:word-that-nobody-may-see@127.0.0.1:9")
    one = mirror.local(s3.folder)
    with pytest.raises(RunError) as error:
        mirror.exists(one / "x")
    assert "nobody-may-see" not in str(error.value)
    assert str(error.value).startswith(f"{s3.folder}/x: no connection (Connection refused)")


def test_files_are_fetched_ahead_in_their_order_and_those_of_the_disk_are_left_as_they_are(
    s3: Proxy, tmp_path: Path
) -> None:
    one, other = mirror.local(s3.folder), mirror.local(s3.folder)
    names = [f"{i:03d}" for i in range(150)]
    for name in names:
        write_bytes(one / name, name.encode())
    paths = [tmp_path / "a", *(other / name for name in names), other / "none"]
    s3.faults = Faults(slow=0.3, delay_s=0.05)
    assert list(mirror.ahead(paths)) == paths
    assert [(other / name).read_text() for name in names] == names
    assert s3.requests["GET"] == 151


def test_a_path_that_arrives_on_another_machine_is_one_of_its_scratch_and_knows_its_object(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = mirror.local(s3.folder)
    write_bytes(one / "a" / "x.json", b"1")
    departed = mirror.departing(one / "a" / "x.json")
    assert departed is not None
    assert mirror.arrived(*departed) == one / "a" / "x.json", "on this machine it is the same"
    monkeypatch.setenv("GRISTMILL_SCRATCH", str(tmp_path / "node"))
    there = mirror.arrived(*departed)
    assert there.is_relative_to(tmp_path / "node")
    assert mirror.address(there) == f"{s3.folder}/a/x.json"
    assert mirror.read_bytes(there) == b"1"
    assert mirror.departing(tmp_path) is None


def test_copies_elsewhere_of_what_is_deleted_here_can_be_forgotten(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = mirror.local(s3.folder)
    monkeypatch.setattr(mirror, "_has_departed", False)
    monkeypatch.setattr(mirror, "_deleted", [])
    write_bytes(one / "x.json", b"old")
    mirror.unlink(one / "x.json")
    assert mirror.deleted() == [], "nobody else knows its paths"
    write_bytes(one / "x.json", b"old")
    departed = mirror.departing(one / "x.json")
    assert departed is not None
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("GRISTMILL_SCRATCH", str(tmp_path / "node"))
        there = mirror.arrived(*departed)
        assert mirror.read_bytes(there) == b"old"
    mirror.unlink(one / "x.json")
    write_bytes(one / "x.json", b"new")
    assert mirror.read_bytes(there) == b"old"
    assert mirror.deleted() == [one / "x.json"]
    mirror.forget([there])
    assert mirror.read_bytes(there) == b"new"


def test_what_another_process_has_made_is_seen_after_forgetting_that_it_was_not_there(
    s3: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = mirror.local(s3.folder), mirror.local(s3.folder)
    assert not mirror.exists(one / "x.json")
    write_bytes(two / "x.json", b"1")
    assert not mirror.exists(one / "x.json")
    mirror.forget()
    assert mirror.exists(one / "x.json")
