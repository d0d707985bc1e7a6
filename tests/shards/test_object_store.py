"""Objects of a real S3 server (moto), also of one that fails now and then."""

import threading
from collections import Counter
from pathlib import Path

import pytest
from s3_server import Faults, Proxy

from shards.object_store import ObjectStore, Taken, without_secrets
from shards.remote import RemoteError


def test_an_object_is_read_as_it_was_written_and_listed(s3: Proxy, tmp_path: Path) -> None:
    store, data = ObjectStore(s3.folder), bytes(range(256)) * 20_000
    (tmp_path / "given").write_bytes(data)
    store.write("a/b/x.bin", tmp_path / "given")
    store.write("a/y z+%.json", b"{}")
    assert store.read("a/b/x.bin", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == data
    assert not store.read("a/b/none", tmp_path / "got")
    assert [(found.name, found.num_bytes) for found in store.below("a")] == [
        ("a/b/x.bin", len(data)),
        ("a/y z+%.json", 2),
    ]
    folders, objects = store.inside("a")
    assert (folders, [found.name for found in objects]) == (["b"], ["a/y z+%.json"])
    store.delete(["a/b/x.bin", "a/none"])
    assert [found.name for found in store.below("")] == ["a/y z+%.json"]


def test_a_name_that_begins_as_the_folder_is_not_in_it(s3: Proxy) -> None:
    store = ObjectStore(s3.folder)
    store.write("ab/x", b"")
    assert list(store.below("a")) == []


def test_one_request_an_object_and_none_to_see_whether_it_is_there(s3: Proxy, tmp_path: Path) -> None:
    store = ObjectStore(s3.folder)
    store.write("x", b"1")
    store.read("x", tmp_path / "x")
    store.read("none", tmp_path / "x")
    list(store.below(""))
    assert s3.requests == Counter(PUT=1, GET=2, LIST=1)


def test_a_body_that_breaks_off_is_asked_for_from_there(s3: Proxy, tmp_path: Path) -> None:
    store, data = ObjectStore(s3.folder), bytes(range(256)) * 10_000
    store.write("x", data)
    s3.faults = Faults(cut=0.7)
    assert store.read("x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == data
    assert s3.injected["cut"] > 2


@pytest.mark.slow
def test_requests_to_a_server_that_is_busy_or_resets_connections_come_through(s3: Proxy, tmp_path: Path) -> None:
    store = ObjectStore(s3.folder)
    s3.faults = Faults(busy=0.2, unanswered=0.2)
    for i in range(20):
        store.write(f"{i:02d}", bytes([i]))
    for i in range(20):
        assert store.read(f"{i:02d}", tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == bytes([i])
    assert len(list(store.below(""))) == 20
    assert s3.injected["busy"] > 3
    assert s3.injected["unanswered"] > 1


def test_of_many_that_write_an_object_if_there_is_none_one_does(s3: Proxy) -> None:
    store, wrote = ObjectStore(s3.folder), list[int]()

    def write(number: int) -> None:
        try:
            store.write_if("x", bytes([number]), None)
            wrote.append(number)
        except Taken:
            pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.look("x")
    assert found is not None
    assert [bytes([number]) for number in wrote] == [found[0]]


def test_an_object_is_replaced_only_while_it_is_that_version(s3: Proxy) -> None:
    store = ObjectStore(s3.folder)
    first = store.write_if("x", b"1", None)
    second = store.write_if("x", b"2", first)
    with pytest.raises(Taken):
        store.write_if("x", b"3", first)
    found = store.look("x")
    assert found is not None
    assert found[:2] == (b"2", second)
    with pytest.raises(Taken):
        store.write_if("none", b"", first)


def test_a_clock_that_the_store_does_not_accept_is_named(s3: Proxy, tmp_path: Path) -> None:
    s3.faults = Faults(is_skewed=True)
    store, says = ObjectStore(s3.folder), "^the clock of this machine differs from the store's .*; set the clock"
    for ask in (lambda: store.write("x", b""), lambda: store.read("x", tmp_path / "x"), lambda: [*store.below("")]):
        with pytest.raises(RemoteError, match=says):
            ask()


def test_what_cannot_be_done_is_one_line(s3: Proxy) -> None:
    with pytest.raises(RemoteError, match=r"no such bucket or object; check the address"):
        ObjectStore("s3://none/x").write("y", b"")


def test_credentials_are_taken_out_of_a_text(s3: Proxy) -> None:
    text = "http://me:word@host/?a=key-that-nobody-may-see&b=secret-that-nobody-may-see"
    assert without_secrets(text) == "http://host/?a=***&b=***"
