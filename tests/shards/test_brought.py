"""Files that came along: stages read them in place of the files of their names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cleaners.assets.listfile import list_file, open_list
from shards.brought import bring, brought


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    bring({})


def test_what_was_not_brought_is_not_there(tmp_path: Path) -> None:
    assert brought("list.txt") is None
    bring({"list.txt": tmp_path / "copy.txt"})
    assert brought("list.txt") == tmp_path / "copy.txt"
    bring({"other": tmp_path})
    assert brought("list.txt") is None


def test_a_list_that_was_brought_is_read_where_this_machine_has_none(tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "a!b.txt"
    copy.parent.mkdir()
    copy.write_text("host.example\n")
    bring({"/nowhere/a!b.txt": copy})
    with open_list("/nowhere/a!b.txt") as stream:
        assert stream.read() == b"host.example\n"


def test_lists_that_come_with_the_installation_need_not_be_brought(tmp_path: Path) -> None:
    mine = tmp_path / "hosts.txt"
    assert list_file(mine) == (str(mine), mine)
    assert list_file("package:tld/res/effective_tld_names.dat.txt") is None
    assert list_file(Path("cleaners/assets/lists/strict_words.txt").absolute()) is None
