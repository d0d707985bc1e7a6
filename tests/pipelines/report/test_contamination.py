"""contamination: every hit of an evaluation set with item, document and passage, and a sentence where there is none."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.executors import InProcess, ProcessPool
from pipelines.ledger.table import Ledger
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.replay.whatif import whatif
from pipelines.report.build import write_report
from pipelines.report.contamination import contamination, lines, require_contamination
from pipelines.report.model import SearchedSet, to_json
from pipelines.run.opening import open_run
from pipelines.verbs.verify import verify_run
from shards.errors import RunError, UserError
from shards.sink import open_arrow

QUESTION = "Which of these animals lives the longest in the cold waters of the northern sea?"  # 15 words
OTHER = "How many days does the moon need to go once around the earth, counted by the stars?"
SHORT = "Why is the sky blue?"
PAGES = {
    "https://a.example/quiz": f"A quiz.\n{QUESTION.upper()}\nThe whale.",
    "https://a.example/both": f"{OTHER}\nNext: {QUESTION}",
    "https://b.example/clean": "The moon needs many days to go around the earth, and the sky is blue. " * 3,
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    rows = [json.dumps({"url": url, "text": text}) for url, text in PAGES.items()]
    (tmp_path / "pages" / "a.jsonl").write_text("\n".join(rows[:2]))
    (tmp_path / "pages" / "b.jsonl").write_text(rows[2])
    (tmp_path / "quiz.jsonl").write_text(
        "\n".join(json.dumps({"q": question}) for question in (SHORT, QUESTION, OTHER))
    )
    (tmp_path / "none.csv").write_text(f'question\n"{OTHER[::-1]}"\n')
    return tmp_path


def make_run(
    files: Path, out: str = "run", settings: str = "", executor: InProcess | ProcessPool | None = None, behind: str = ""
) -> Path:
    recipe = files / f"{out}.toml"
    recipe.write_text(
        f'name = "quiz"\n[source.web]\nkind = "jsonl"\npaths = ["{files}/pages"]\n[[stage]]\nkind = "decontaminate"\n'
        f'sets = {{ quiz = "{files}/quiz.jsonl", none = "{files}/none.csv" }}\n{settings}\n{behind}'
    )
    execute(open_run(load_recipe(str(recipe)), files / out), executor or InProcess(), lambda _: None)
    return files / out


def rows_of(run: Path, what: str) -> dict[str, dict[str, Any]]:
    return {
        row["url"]: row
        for path in sorted(run.glob(f"{what}/*.arrow"))
        for row in open_arrow(path).read_all().to_pylist()
    }


def test_hits_name_item_document_and_passage_and_zero_hits_are_said(files: Path) -> None:
    run = make_run(files)
    assert verify_run(run) == (2, [])
    (section,) = contamination(Ledger.open(run))
    assert {(hit.item, (hit.url or "")[-4:], hit.fate, hit.found) for hit in section.hits} == {
        ("quiz:1", "quiz", "decontaminate.contaminated", QUESTION.upper()[:-1]),
        ("quiz:1", "both", "decontaminate.contaminated", QUESTION[:-1]),
        ("quiz:2", "both", "decontaminate.contaminated", OTHER[:-1]),
    }
    assert section.sets == (
        SearchedSet("quiz", items=3, searched=2, found=2, documents=2),
        SearchedSet("none", items=1, searched=1, found=0, documents=0),
    )
    assert lines([section])[-3:] == [
        "quiz: 2 of 3 documents hold 13-grams of 2 of its 3 items",
        "quiz: too short and not looked for: 1 of its 3 items",
        "No document holds a 13-gram of none (1 item, 3 documents)",
    ]
    assert list(rows_of(run, "shards/web")) == ["https://b.example/clean"]


def test_the_evaluation_files_may_be_gone_when_somebody_asks(files: Path) -> None:
    run = make_run(files)
    before = require_contamination(run)
    (files / "quiz.jsonl").unlink()
    assert require_contamination(run) == before
    (run / "contamination" / "decontaminate.json").unlink()
    with pytest.raises(RunError, match=r"decontaminate\.json: missing"):
        require_contamination(run)


def test_another_limit_is_replayed_from_the_ledger(files: Path) -> None:
    run = make_run(files)
    assert [whatif(run, [f"decontaminate.max_hits={n}"]).least.documents for n in (0, 3, 100)] == [1, 2, 3]
    assert list(rows_of(make_run(files, "some", "max_hits = 3"), "shards/web")) == [
        "https://a.example/quiz",
        "https://b.example/clean",
    ]


def test_a_flag_goes_along_into_the_shards_and_a_cut_leaves_the_rest(files: Path) -> None:
    flagged = rows_of(make_run(files, "flag", 'action = "flag"'), "shards/web")
    assert {url: row["decontaminate.items"] for url, row in flagged.items()} == {
        "https://a.example/quiz": ["quiz:1"],
        "https://a.example/both": ["quiz:1", "quiz:2"],
        "https://b.example/clean": [],
    }
    run = make_run(files, "cut", 'action = "cut"', behind='[[stage]]\nkind = "exact"\n')
    texts = {url: row["text"] for url, row in rows_of(run, "shards/web").items()}
    assert texts["https://a.example/quiz"] == "A quiz.\n?\nThe whale."
    assert texts["https://a.example/both"] == "?\nNext: ?"
    assert verify_run(run) == (2, [])


def test_workers_change_no_byte(files: Path) -> None:
    def digests(run: Path) -> dict[str, str]:
        return {
            str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in run.rglob("*")
            if p.is_file() and p.name not in ("seconds.json", ".lock")
        }

    one = digests(make_run(files, "one"))
    with ProcessPool(2) as pool:
        assert digests(make_run(files, "two", executor=pool)) == one
    assert "contamination/decontaminate.json" in one


def test_an_evaluation_file_that_changed_is_another_run(files: Path) -> None:
    make_run(files)
    (files / "quiz.jsonl").write_text(json.dumps({"q": OTHER}))
    with pytest.raises(UserError, match=r"decontaminate\.sets\.quiz"):
        make_run(files)


def test_the_command_tells_hits_as_lines_and_as_json(files: Path) -> None:
    run = make_run(files)
    command = [sys.executable, "-m", "pipelines", "contamination", str(run)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "No document holds a 13-gram of none" in told
    assert QUESTION[:-1] in told
    whole = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout
    assert whole == to_json(require_contamination(run))


def test_the_report_says_what_was_found_and_what_was_not(files: Path) -> None:
    run = make_run(files)
    (section,) = json.loads((run / "report.json").read_bytes())["contamination"]
    assert (len(section["hits"]), section["all_hits"]) == (3, 3)
    page = write_report(run).read_text()
    assert "No document holds a 13-gram of none (1 item, 3 documents)" in page
    assert "quiz: 2 of 3 documents hold 13-grams of 2 of its 3 items" in page
    assert QUESTION[:-1] in page


def test_a_run_that_looked_for_nothing_says_so(files: Path) -> None:
    recipe = files / "plain.toml"
    recipe.write_text(f'[source.web]\nkind = "jsonl"\npaths = ["{files}/pages"]\n')
    execute(open_run(load_recipe(str(recipe)), files / "plain"), InProcess(), lambda _: None)
    with pytest.raises(UserError, match="has no stage of kind decontaminate"):
        require_contamination(files / "plain")
