"""Formats of folders that other commits made are opened in `tests/formats`."""

import json
from pathlib import Path

import pytest

from shards.errors import RunError, UserError
from shards.formats import RUN_FORMAT, format_of, require_formats_of_runs

PATH = Path("run.json")


@pytest.mark.parametrize(("values", "number"), [({}, 1), ({"format": 1}, 1), ({"format": 3}, 3)])
def test_a_number_up_to_our_own_is_read_and_none_is_the_oldest(values: dict[str, int], number: int) -> None:
    assert format_of(values, "format", PATH, 3, "") == number


def test_a_newer_number_is_refused_with_what_to_do() -> None:
    with pytest.raises(UserError) as raised:
        format_of({"format": 4}, "format", PATH, 3, "delete it")
    assert str(raised.value) == (
        "run.json: was made by a newer gristmill (format 4, this one reads up to 3); update gristmill"
    )


@pytest.mark.parametrize("number", ["1", 0, -1, 1.0, True, None, [1], {"a": "b" * 100}])
def test_what_is_no_number_is_damage(number: object) -> None:
    with pytest.raises(RunError) as raised:
        format_of({"format": number}, "format", PATH, 3, "delete it")
    found = json.dumps(number)[:60]
    assert str(raised.value) == f"run.json: format: expected a whole number from 1, found {found}; delete it"


@pytest.mark.parametrize("shards", [".", "shards", "shards/web", "shards/web/a.arrow"])
def test_shards_of_a_newer_run_are_refused_wherever_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: str
) -> None:
    (tmp_path / "run" / "shards" / "web").mkdir(parents=True)
    made_of = tmp_path / "run" / "run.json"
    for harmless in (b"", b"[]", b'{"format": "x"}', b'{"format": %d}' % RUN_FORMAT):
        made_of.write_bytes(harmless)
        require_formats_of_runs([tmp_path / "run" / shards])
    made_of.write_text(json.dumps({"format": RUN_FORMAT + 1}))
    with pytest.raises(UserError, match=r"run/run\.json: was made by a newer gristmill"):
        require_formats_of_runs([tmp_path / "other", tmp_path / "run" / shards])
    monkeypatch.chdir(tmp_path / "run" / "shards")
    with pytest.raises(UserError, match=r"run/run\.json: was made by a newer gristmill"):
        require_formats_of_runs([Path("web")])


def test_a_file_of_that_name_in_another_folder_says_nothing_of_shards(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "run.json").write_text('{"format": 1000}')
    require_formats_of_runs([tmp_path / "web", tmp_path / "web" / "a.arrow", tmp_path / "nowhere"])
