"""`gristmill run` and `sample`, from the files of a crawl to the last lines."""

import json
import os
import re
from pathlib import Path

import pytest
from command import gristmill
from crawl import RECIPE, Crawl, article, sentences


def test_run_verify_status_report_and_run_again(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    out = tmp_path / "run"
    words = ("run", recipe_file, crawl_file.parent, "--out", out, "--executor", "in-process")
    first = gristmill(*words)
    assert first.returncode == 0, first.stderr
    assert "5 documents in, 5 kept (100.0%)" in first.stdout
    assert "pass 0: 100%" in first.stderr, "progress as plain lines where there is no terminal"
    assert gristmill("verify", out).returncode == 0
    assert "done" in gristmill("status", out).stdout
    report = gristmill("report", out)
    assert report.returncode == 0, report.stderr
    assert (out / "report.html").stat().st_size > 1000
    assert json.loads((out / "report.json").read_bytes())["schema_version"] == 1
    again = gristmill(*words)
    assert (again.returncode, "is done already" in again.stdout) == (0, True)
    next((out / "shards" / "web").glob("*.arrow")).unlink()
    broken = gristmill("verify", out)
    assert (broken.returncode, "missing" in broken.stdout) == (1, True)


def test_parts_of_the_inputs_are_made_to_the_first_global_stage_and_merged(tmp_path: Path, recipe_file: Path) -> None:
    for name in "ab":
        crawl = Crawl()
        for i in range(3):
            page = article(f"Page {i}", sentences(i if i else 40 + ord(name)))
            crawl.page(f"https://{name}.example/{i}", page, record_id=f"<urn:{name}:{i}>")
        crawl.write(tmp_path / "crawl" / f"{name}.warc.gz")
    run = ("run", recipe_file, "--set", "source.paths=crawl", "--executor", "in-process")
    for number in (1, 2):
        part = (*run, "--part", f"{number}/2", "--until-global", "--out", f"part{number}")
        done = gristmill(*part, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "pass 0: 1 unit made, 1 file read to the end, 3 documents read, 0 dropped" in done.stdout
        assert "the first pass is made; the same command without --until-global goes on" in done.stdout
    merge = ("merge", "part1", "part2", "--out", "joined", "--executor", "in-process")
    merged = gristmill(*merge, cwd=tmp_path)
    assert merged.returncode == 0, merged.stderr
    assert "6 documents in, 4 kept" in merged.stdout
    again = gristmill(*merge, cwd=tmp_path)
    assert (again.returncode, "joined is done already" in again.stdout) == (0, True)
    twice = gristmill("merge", "part1", "part1", "--out", "other", cwd=tmp_path, columns=200)
    assert (twice.returncode, len(twice.stderr.splitlines())) == (2, 1)
    assert "a.warc.gz is a file of part1, too" in twice.stderr


@pytest.mark.skipif(os.getuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may write everywhere")
def test_a_folder_without_right_to_write_is_one_line(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    done = gristmill("run", recipe_file, "--set", f"source.paths={crawl_file}", "--out", blocker / "run")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--memory", "1MB"], "too little for a process to start"),
        (["--memory", "two"], "expected a size as 2GB or 500MB"),
        (["--workers", "0"], "greater than or equal to 1"),
        (["--executor", "slurm"], "'slurm' is not one of"),
        (["--set", "source.paths=missing"], "no such file or folder"),
        (["--part", "3/2"], "expected I/N with I from 1 to N"),
        (["--part", "1/2"], "no input falls into this part, the other parts have all 1 file"),
        (["--set", "exact.normalise=none"], "normalise"),
    ],
)
def test_a_start_that_is_refused_leaves_no_folder(
    tmp_path: Path, crawl_file: Path, recipe_file: Path, words: list[str], says: str
) -> None:
    out = tmp_path / "runs" / "mine"
    done = gristmill("run", recipe_file, "--set", f"source.paths={crawl_file}", "--out", out, *words, columns=200)
    assert done.returncode == 2
    assert says in done.stderr
    assert not out.parent.exists()


def test_apply_that_is_refused_leaves_no_folder(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    run = tmp_path / "run"
    gristmill("run", recipe_file, "--set", f"source.paths={crawl_file}", "--out", run, "--executor", "in-process")
    done = gristmill("apply", run, "--set", "exact.normalize=none", "--out", tmp_path / "new", "--memory", "1MB")
    assert done.returncode == 2
    assert "too little for a process to start" in done.stderr
    assert not (tmp_path / "new").exists()


def test_words_after_the_recipe_are_what_source_paths_says(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    crawl = Crawl()
    crawl.page("https://b.example/", article("Page", sentences(99)))
    second = crawl.write(tmp_path / "b.warc.gz")
    end = ("--executor", "in-process", "--out")
    by_words = gristmill("run", recipe_file, crawl_file, second, *end, tmp_path / "words")
    assert "6 documents in, 6 kept" in by_words.stdout
    setting = f'source.paths=["{crawl_file}", "{second}"]'
    gristmill("run", recipe_file, "--set", setting, *end, tmp_path / "settings")
    assert (tmp_path / "words" / "run.json").read_bytes() == (tmp_path / "settings" / "run.json").read_bytes()


def test_inputs_of_a_recipe_with_two_sources_are_asked_for_by_name(tmp_path: Path, recipe_file: Path) -> None:
    recipe_file.write_text(RECIPE + '\n[source.books]\nkind = "text"\n')
    done = gristmill("run", recipe_file, "crawl", "--out", tmp_path / "run", columns=200)
    assert done.returncode == 2
    assert (
        "crawl: recipe.toml has the sources web, books; name one of them: --set source.web.paths=crawl" in done.stderr
    )


def test_sample_runs_a_random_part_and_leaves_nothing(tmp_path: Path, crawl_file: Path, recipe_file: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = gristmill("sample", recipe_file, crawl_file.parent, "-n", "3")
    assert done.returncode == 0, done.stderr
    assert "3 documents in, 3 kept" in done.stdout
    assert "kept  https://a.example/" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_sample_shows_the_values_of_dropped_documents(crawl_file: Path, recipe_file: Path) -> None:
    words = ("sample", recipe_file, crawl_file.parent, "-n", "5", "--set", "gopher_quality.min_words=9000")
    assert re.search(r"word_count \d+, least 9000\n", gristmill(*words).stdout)
    found = json.loads(gristmill(*words, "--json").stdout)
    assert (found["input"], found["kept"], found["dropped"]) == (5, 0, {"gopher_quality.too_few_words": 5})
    first, second = found["documents"]
    assert first["url"] != second["url"]
    (rule,) = first["failing"]
    assert rule["reason"] == first["fate"] == "gopher_quality.too_few_words"
    assert 0 < rule["value"] < rule["min_kept"] == 9000
    assert len(first["text"]) > 100


def test_inputs_without_documents_end_with_a_line(tmp_path: Path, recipe_file: Path) -> None:
    for name in ("x", "y"):
        Crawl().other("request").write(tmp_path / "none" / f"{name}.warc.gz")
    words = ("recipe.toml", "--set", "source.paths=none", "--executor", "in-process", "--out", "run")
    for command, says in (
        (("run", *words), "hold no record that could become a document"),
        (("sample", "recipe.toml", "none"), "hold no document of kind warc"),
    ):
        done = gristmill(*command, cwd=tmp_path)
        assert done.returncode == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    assert gristmill("status", "run", cwd=tmp_path).returncode == 0
    assert "the run is not finished" in gristmill("verify", "run", cwd=tmp_path).stdout
