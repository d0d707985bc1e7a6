"""Folders of real links: to folders, files, nothing, themselves and the folders that they lie in."""

import os
from pathlib import Path

import pytest

from shards.errors import RunError, UserError
from shards.folders import fault, files_below, files_matching
from shards.storage import find_inputs, open_input

WARC = (".warc.gz", ".warc")


@pytest.fixture(autouse=True)
def crawl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`crawl`, with a file and a folder of a file, beside `elsewhere`, a folder of two."""
    monkeypatch.chdir(tmp_path)
    for name in ("crawl/a.warc.gz", "crawl/deep/b.warc", "elsewhere/c.warc.gz", "elsewhere/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(name.encode())
    return Path("crawl")


def link(name: str, target: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(target)


def below(path: str = "crawl") -> list[str]:
    return [file.as_posix() for file in files_below(Path(path), WARC)]


def matching(pattern: str) -> list[str]:
    return [file.as_posix() for file in files_matching(Path(pattern), WARC)]


OWN = ["crawl/a.warc.gz", "crawl/deep/b.warc"]


def test_a_linked_folder_is_entered() -> None:
    link("crawl/dump", "../elsewhere")
    assert below() == [*OWN, "crawl/dump/c.warc.gz"]


def test_a_folder_that_is_itself_a_link_is_entered() -> None:
    link("here", "crawl")
    assert below("here") == ["here/a.warc.gz", "here/deep/b.warc"]


@pytest.mark.parametrize("target", [".", "..", "../crawl", "deep", "/"])
def test_a_link_to_a_folder_that_holds_it_or_was_entered_adds_nothing(target: str) -> None:
    link("crawl/loop", target)
    link("crawl/deep/loop", f"../{target}" if target != "/" else "/")
    assert below() == OWN


def test_two_links_to_each_others_folders_end() -> None:
    link("crawl/x", "../elsewhere")
    link("elsewhere/y", "../crawl")
    assert below() == [*OWN, "crawl/x/c.warc.gz"]


def test_a_folder_with_two_links_is_entered_by_the_first() -> None:
    link("crawl/z", "../elsewhere")
    link("crawl/y", "../elsewhere")
    assert below() == [*OWN, "crawl/y/c.warc.gz"]


def test_a_folder_goes_by_its_own_name_and_not_by_that_of_a_link_before_it() -> None:
    link("crawl/a-link", "deep")
    assert below() == OWN


def test_a_file_goes_by_its_own_name_and_not_by_that_of_a_link_before_it() -> None:
    link("crawl/0.warc.gz", "a.warc.gz")
    link("crawl/deep/2.warc.gz", "../a.warc.gz")
    assert below() == OWN


def test_a_linked_file_has_the_suffix_of_the_link() -> None:
    link("crawl/d.warc.gz", "../elsewhere/notes.txt")
    link("crawl/e.txt", "../elsewhere/c.warc.gz")
    assert below() == [OWN[0], "crawl/d.warc.gz", OWN[1]]


@pytest.mark.parametrize(
    ("name", "target", "says"),
    [
        ("gone.warc.gz", "nowhere", "a link to nowhere, which is not there; mend or remove it"),
        ("dump", "/mnt/no such disk/dump", "a link to /mnt/no such disk/dump, which is not there; mend or remove it"),
        ("self.warc.gz", "self.warc.gz", "a link that leads in a circle; mend or remove it"),
    ],
)
def test_a_link_to_nothing_is_an_input_with_its_fault(name: str, target: str, says: str) -> None:
    link(f"crawl/{name}", target)
    for path in ("crawl", "crawl/*"):
        (file,) = (file for file in find_inputs([path], WARC, "x") if file.fault)
        assert (file.name, file.num_bytes, file.fault) == (name, 0, says)
        with pytest.raises(RunError, match=rf"^crawl/{name}: a link"):
            open_input(file)


def test_a_link_to_nothing_that_is_named_itself_is_the_users_mistake() -> None:
    link("gone.warc.gz", "nowhere")
    with pytest.raises(UserError, match=r"x: gone\.warc\.gz: a link to nowhere, which is not there"):
        find_inputs(["gone.warc.gz"], WARC, "x")


def test_a_pipe_among_the_files_is_an_input_with_its_fault() -> None:
    os.mkfifo("crawl/pipe.warc.gz")
    assert [file.fault[:26] for file in find_inputs(["crawl"], WARC, "x")] == ["", "", "a pipe or a device, which "]
    assert fault(Path("crawl/a.warc.gz")) == ""


def test_hidden_files_and_folders_are_taken_where_they_are_named() -> None:
    for name in ("crawl/._a.warc.gz", "crawl/.cache/d.warc.gz", ".hidden/e.warc.gz"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    assert below() == OWN
    assert matching("crawl/**/*.warc.gz") == [OWN[0]]
    assert below(".hidden") == [".hidden/e.warc.gz"]
    assert matching("crawl/.cache/*") == ["crawl/.cache/d.warc.gz"]
    assert matching("crawl/._*") == ["crawl/._a.warc.gz"]


def test_a_folder_of_hidden_files_alone_is_refused_with_the_reason() -> None:
    Path("empty").mkdir()
    Path("empty/.a.warc.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"no file in this folder ends in .* \(hidden ones aside\)"):
        find_inputs(["empty"], WARC, "x")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("crawl/*.warc.gz", [OWN[0]]),
        ("cr*", [*OWN, "crawl/dump/c.warc.gz"]),
        ("crawl/*", [*OWN, "crawl/dump/c.warc.gz"]),
        ("crawl/*/*", [*OWN, "crawl/dump/c.warc.gz", "crawl/dump/notes.txt"]),
        ("crawl/**", [*OWN, "crawl/dump/c.warc.gz", "crawl/dump/notes.txt"]),
        ("crawl/**/*.warc*", [*OWN, "crawl/dump/c.warc.gz"]),
        ("**/*.warc.gz", [OWN[0], "elsewhere/c.warc.gz"]),
        ("crawl/*/**/c*", ["crawl/dump/c.warc.gz"]),
        ("c*/**/d*/**/*.[wt]*", [OWN[1], "crawl/dump/c.warc.gz", "crawl/dump/notes.txt"]),
        ("crawl/?.warc.gz", [OWN[0]]),
        ("*.warc.gz", []),
    ],
)
def test_a_glob_goes_through_links_and_names_each_file_once(pattern: str, names: list[str]) -> None:
    link("crawl/dump", "../elsewhere")
    link("crawl/loop", ".")
    link("crawl/loop2", "..")
    found = matching(pattern)
    assert sorted(map(os.path.realpath, found)) == sorted(map(os.path.realpath, names))
    assert found == sorted(found, key=Path)
