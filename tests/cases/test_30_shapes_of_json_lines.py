"""JSON that is not quite JSON lines is read, or one line says what to do."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case

from shards.errors import RunError

READ = {
    "array.jsonl": 3, "commas.jsonl": 3, "utf16.jsonl": 3, "urls.jsonl": 1, "LINES.JSONL.GZ": 1, "lines.jsonl.zstd": 1,
    "lines.jsonl.xz": 1, "lines.jsonl.bz2": 1,
}  # fmt: skip
REFUSED = {
    "content.jsonl": "no key 'text'; there are id, content",
    "nested.jsonl": "no key 'text'; there are doc",
    "pretty.jsonl": "JSON that is spread over several lines; write an object a line, for example with: jq -c .",
}


@pytest.mark.parametrize("name", READ)
def test_documents_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(copy_case("30", tmp_path))
    run = run_case(tmp_path, f"source.paths=in/{name}")
    assert len(run.rows()) == READ[name]
    assert not [line for line in run.lines() if line.startswith("damaged: ")]
    if name == "urls.jsonl":
        assert run.rows()[0]["url"] == "http://site-a.example/1"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(copy_case("30", tmp_path))
    with pytest.raises(RunError) as caught:
        run_case(tmp_path, f"source.paths=in/{name}")
    assert str(caught.value) == f"{name}: offset 0: {REFUSED[name]}; no document could be read"


def test_a_text_within_an_object_is_read_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("30", tmp_path))
    assert len(run_case(tmp_path, "source.paths=in/nested.jsonl", "source.text=doc.text").rows()) == 1


def test_a_folder_gives_its_files_in_all_their_compressions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("30", tmp_path))
    run = run_case(tmp_path)
    told = [line.partition(" ")[2] for line in run.lines() if line.startswith("damaged: ")]
    assert told == [f"{name}: offset 0: {cause}" for name, cause in sorted(REFUSED.items())]
    assert len(run.rows()) + sum(run.dropped().values()) == sum(READ.values())
