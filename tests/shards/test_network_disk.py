"""Names that another machine has made are seen, also by who has looked for them too early.

No NFS can be mounted here, so the test stands in for its client: a name is hidden until its folder is opened.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.run.folder import RunFolder
from shards import mirror
from shards.network_disk import is_there_now

Hide = Callable[[Path], None]


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hide]:
    """Hides a file or folder until somebody opens the folder that it lies in."""
    hidden: dict[str, Path] = {}
    open_ = os.open

    def hide(path: Path) -> None:
        hidden[str(path.parent)] = path
        path.rename(path.with_name(f".hidden-{path.name}"))

    def opening(path: str | Path, flags: int, *rest: int) -> int:
        if flags & os.O_DIRECTORY and str(path) in hidden and Path(path).exists():
            name = hidden.pop(str(path))
            name.with_name(f".hidden-{name.name}").rename(name)
        return open_(path, flags, *rest)

    monkeypatch.setattr(os, "open", opening)
    yield hide
    assert hidden == {}, "each was looked for anew"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "shards" / "web" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    return path


def test_a_file_is_read_and_found_although_it_was_missing_before(made: Path, hide: Hide) -> None:
    hide(made)
    assert mirror.read_bytes(made) == b"{}"
    hide(made)
    assert mirror.exists(made)


def test_a_file_in_folders_that_were_missing_is_found(made: Path, hide: Hide) -> None:
    hide(made)
    hide(made.parent)
    hide(made.parents[1])
    assert mirror.exists(made)


def test_a_folder_that_was_missing_is_listed(made: Path, hide: Hide) -> None:
    run = RunFolder(made.parents[2])
    for listed in (
        lambda: run.names("shards", "*/*.json"),
        lambda: [*run.listing("shards", ".json")],
        lambda: [f"shards/{name}/a.json" for name in mirror.folders(run.path("shards"))],
    ):
        hide(made.parents[1])
        assert listed() == ["shards/web/a.json"]


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("a", "a/b/c", "file/a"):
        assert not is_there_now(tmp_path / name)
        assert not mirror.exists(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        mirror.read_bytes(tmp_path / "a")
