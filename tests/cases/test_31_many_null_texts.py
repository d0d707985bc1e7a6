"""Lines without a text are empty texts, and the report stays small."""

import gzip
from pathlib import Path

import pytest
from case_run import copy_case, run_case

NULL_LINES = 5_000  # of the 200,000 of the situation


def test_null_texts_are_documents_and_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("31", tmp_path))
    file = tmp_path / "in" / "x.jsonl.gz"
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    texts = [line for line in lines if b"null" not in line]
    file.write_bytes(gzip.compress(b"".join([b'{"text": null}\n'] * NULL_LINES + texts)))
    run = run_case(tmp_path)
    assert run.dropped() == {"dedup.same_record": NULL_LINES - 1}  # rows without id, address, date and text are equal
    assert len(run.rows()) == len(texts) + 1
    assert (tmp_path / "out" / "report.json").stat().st_size < 10_000


def test_many_lines_without_a_key_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("31", tmp_path))
    (tmp_path / "in" / "x.jsonl.gz").unlink()
    lines = ['{"id": 1}'] * 12_000 + ['{"text": "the old mill by the river"}']
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(lines))  # two units
    run = run_case(tmp_path)
    assert len(run.rows()) == 1
    told = [line for line in run.lines() if line.startswith("damaged: ")]
    assert told == [
        "damaged: a.jsonl: offset 0: no key 'text'; there are id",
        "damaged: a.jsonl: offset 10: no key 'text'; there are id",
        "damaged: a.jsonl: offset 20: no key 'text'; there are id (and 11,997 more like it)",
    ]
    assert (tmp_path / "out" / "report.json").stat().st_size < 10_000
