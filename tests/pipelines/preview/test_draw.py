"""Records drawn at random from the inputs of a run."""

import random
from pathlib import Path

from pipelines.preview.draw import documents_at, draw, lines_at
from shards.storage import InputFile
from tests.cleaners.crawl.test_arc import as_input, read, small_arc, write


def test_records_drawn_from_an_arc_file_are_a_warc_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.arc.gz", small_arc(), gzipped=True)
    drawn = draw([as_input(path)], 4, 3, random.Random(0), documents_at)
    (tmp_path / "drawn.warc").write_bytes(b"".join(record.data for _, record in drawn))
    rows, reader = read(tmp_path / "drawn.warc")
    assert len(rows) == 4
    assert reader.damage == []
    of_the_arc = {row["id"]: row["payload"] for row in read(path)[0]}
    assert all(of_the_arc[row["id"]] == row["payload"] for row in rows)


def test_each_record_is_drawn_once_and_all_are_where_all_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"".join(b"%d\n" % number for number in range(50)))
    file = InputFile(str(tmp_path / "a.jsonl"), "a.jsonl", (tmp_path / "a.jsonl").stat().st_size)
    drawn = [record.data for _, record in draw([file], 50, 20, random.Random(1), lines_at)]
    assert len(drawn) == len(set(drawn)) > 40
    assert len(list(draw([file], 7, 20, random.Random(1), lines_at))) == 7
