"""The last lines of a run."""

import gzip
import shutil
from pathlib import Path
from typing import Any

from crawl import Crawl, article, sentences
from ledger_runs import make_run

from pipelines.lines import Table
from pipelines.report import last_lines
from pipelines.report.build import alarm_lines


def test_reasons_come_by_number_then_the_documents_then_alarms(run: Path, found: dict[str, Any]) -> None:
    table, documents, *others = last_lines.lines(run, next_step=False)
    assert isinstance(table, Table)
    num_input, kept = found["documents"]["input"], found["documents"]["kept"]
    assert {row[0]: int(row[1].replace(",", "")) for row in table.rows} == found["dropped"]
    numbers = [int(row[1].replace(",", "")) for row in table.rows]
    assert numbers == sorted(numbers, reverse=True)
    assert [row[2] for row in table.rows] == [f"{number / num_input:.1%}" for number in numbers]
    assert documents == f"{num_input} documents in, {kept} kept ({kept / num_input:.1%})"
    assert others == alarm_lines(run)


def test_the_next_step_names_shards_and_the_report(run: Path) -> None:
    lines = list(last_lines.lines(run))
    assert str(lines[1]).endswith(f", in {run}/shards")
    assert lines[-1] == f"next: gristmill report {run}"


def test_damage_of_one_kind_in_a_file_is_named_three_times_and_counted(tmp_path: Path) -> None:
    page = Crawl().page("https://a.example/", article("Page", sentences(1))).write(tmp_path / "page.warc.gz")
    whole = gzip.decompress(page.read_bytes())
    broken = whole.replace(b"Content-Length: ", b"Content-Length: x", 1)
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.warc").write_bytes(b"".join([whole, *[broken] * 7]))
    run = make_run(tmp_path / "run", tmp_path / "crawl")
    damaged = [str(line) for line in last_lines.lines(run) if str(line).startswith("damaged: ")]
    assert len(damaged) == 3
    assert damaged[2].endswith(" (and 4 more like it)")


def test_damage_is_named_up_to_five_files(tmp_path: Path) -> None:
    crawl = tmp_path / "crawl"
    Crawl().page("https://a.example/", article("Page", sentences(1))).write(crawl / "whole.warc.gz")
    for number in range(6):
        shutil.copy(crawl / "whole.warc.gz", crawl / f"{number}.warc.gz")
        (crawl / f"{number}.warc.gz").write_bytes((crawl / "whole.warc.gz").read_bytes()[:-20])
    run = make_run(tmp_path / "run", crawl)
    damaged = [line for line in last_lines.lines(run) if str(line).startswith("damaged: ")]
    assert len(damaged) == 6
    assert str(damaged[0]).startswith("damaged: 0.warc.gz: offset ")
    assert damaged[5] == f"damaged: 1 more place, see {run}/report.json"
