"""Scoring engines and training ours, by the commands, on generated pages."""

import errno
import gzip
import json
import random
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from crawl import SENTENCES, Crawl, article
from typer.testing import CliRunner

from cleaners.extract import ExtractConfig
from cleaners.extraction.model import load_model
from cleaners.extraction.training.fold_scores import page_digest, read_fold_scores
from cleaners.extraction.training.pages import crawl_pages, read_truth
from pipelines.cli import app, main
from shards.atomic import disk_error
from shards.errors import RunError, UserError
from tests.cleaners.test_extract import batch


def page(number: int) -> tuple[str, str, str]:
    """(URL, HTML, main text) of a page with menu, teasers and comments."""
    draw = random.Random(number)
    lines = [" ".join(draw.sample(SENTENCES, 3)) for _ in range(draw.randrange(3, 8))]
    menu = "".join(f"<li><a href=/{n}>{word}</a>" for n, word in enumerate(("Home", "News", "Shop", "Contact")))
    teasers = "".join(f"<div class=teaser><a href=/t{n}>Read this too: {n}</a></div>" for n in range(5))
    body = "".join(f"<p>{line}</p>" for line in lines)
    html = f"<nav><ul>{menu}</ul></nav><main class=story><h1>Page {number}</h1>{body}</main><aside>{teasers}</aside>"
    return f"https://host{number % 20}.example/{number}", html, "\n".join([f"Page {number}", *lines])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labelled") / "pages.jsonl.gz"
    lines = [
        {"url": url, "html": html, "main_content": text, "page_type": "article" if n % 2 else "forum", "set": "made"}
        for n in range(60)
        for url, html, text in [page(n)]
    ]
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in ("extractor", *arguments)])


def visible_text(html: str) -> str:
    """Of a page that is well-formed: every element that is opened is closed."""
    open_elements: list[str] = []
    texts: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            open_elements.extend([tag] * (tag not in {"meta", "link", "br", "img", "input", "hr", "wbr", "col"}))

        def handle_endtag(self, tag: str) -> None:
            assert open_elements.pop() == tag

        def handle_data(self, data: str) -> None:
            texts.append(data)

    Reader().feed(html)
    assert not open_elements
    return " ".join(texts)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    handler = signal.getsignal(signal.SIGTERM)  # which `main` sets for the process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gristmill", "extractor", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    signal.signal(signal.SIGTERM, handler)
    assert end.value.code == 2
    *progress, message = capsys.readouterr().err.splitlines()
    assert message.startswith("gristmill: ")
    assert not any("Traceback" in line or line.startswith("gristmill: ") for line in progress)
    return message


def test_scores_have_types_sets_and_time(labelled: Path) -> None:
    done = run("score", "gristmill", "--truth", labelled, "--against", "resiliparse", "--json")
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)
    assert scores["pages"] == 60
    assert scores["f1"] > 0.9
    assert {kind: of["pages"] for kind, of in scores["types"].items()} == {"article": 30, "forum": 30}
    assert sum(scores["by_type"].values()) / 2 == pytest.approx(scores["f1"])
    assert scores["by_set"] == {"made": pytest.approx(scores["f1"])}
    assert scores["f1_interval"][0] <= scores["f1"] <= scores["f1_interval"][1]
    assert scores["ms_per_page"] > 0
    assert len(scores["worst"]) == 10
    assert scores["resiliparse"]["behind_first"]["f1"] == pytest.approx(scores["f1"] - scores["resiliparse"]["f1"])
    table = run("score", "gristmill", "--truth", labelled)
    assert "article (30)" in table.stdout
    assert "100 to 199 words (12)" in table.stdout


def test_score_reads_the_pages_from_warc(tmp_path: Path) -> None:
    crawl = Crawl()
    crawl.page("https://a.example/1", article("One"))
    crawl.write(tmp_path / "a.warc.gz")
    Crawl().page("https://a.example/3", article("Three")).write(tmp_path / "b.warc.gz")
    lines = [
        {"url": f"https://a.example/{n}", "main_content": " ".join(SENTENCES), "with": [SENTENCES[0]]} for n in (1, 2)
    ]
    (tmp_path / "truth.jsonl").write_text("\n".join(map(json.dumps, lines)))
    files = [tmp_path / "a.warc.gz", tmp_path / "b.warc.gz"]  # as a shell writes *.warc.gz
    done = run("score", "builtins:max", "--warc", *files, "--truth", tmp_path / "truth.jsonl")
    assert "pages of the truth that are neither in the WARC files nor brought as html: 1" in done.stdout


def test_a_mistake_is_one_line(tmp_path: Path, labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such engine" in refused(capsys, "score", "readability", "--truth", labelled)
    assert "no such function" in refused(capsys, "score", "json:nothing", "--truth", labelled)
    assert "failed on it" in refused(capsys, "score", "json:loads", "--truth", labelled)
    broken = tmp_path / "broken.jsonl"
    for content, message in (
        ("", "holds no page"),
        ("{", ":1: is no JSON"),
        ('{"x": 1}', ':1: has no "url"'),
        ('{"url": "u", "with": "x"}', '"with" is no list'),
        ('{"url": "u", "without": ["x", 1]}', ':1: "without" holds other than strings'),
        ('{"url": "u"}', "broken.jsonl: no line brings its `html`; give the crawl with --warc"),
    ):
        broken.write_text(content)
        assert message in refused(capsys, "score", "gristmill", "--truth", broken)
    assert "cannot be read" in refused(capsys, "score", "gristmill", "--truth", tmp_path / "none.jsonl")
    few = tmp_path / "few.jsonl"
    few.write_text(json.dumps({"url": "https://a.example/", "html": "<p>x", "main_content": "x"}))
    assert "too few to train on" in refused(capsys, "train", few, "--out", tmp_path)
    assert "has no page of the sets other" in refused(capsys, "train", few, "--set", "other")
    assert "--without other: no page is of this set; there are made" in refused(
        capsys, "train", labelled, "--without", "other"
    )
    assert "no page is left" in refused(capsys, "train", labelled, "--without", "made")
    for name in ("my-model", "../up", "", "x" * 41):
        assert "a name has 1 to 40 ASCII letters" in refused(capsys, "train", labelled, "--name", name)
    Crawl().page("https://b.example/", "<p>x").write(tmp_path / "b.warc.gz")
    for out in (few, few / "models", "/proc/models"):
        assert "cannot be written to" in refused(capsys, "train", labelled, "--out", out)
    assert "cannot be read" in refused(capsys, "train", tmp_path / "none.jsonl", "--out", tmp_path / "made")
    assert not (tmp_path / "made").exists()
    few.write_text(json.dumps({"url": "https://a.example/", "main_content": "x"}))
    assert "none of its pages (1) is in the WARC" in refused(
        capsys, "score", "gristmill", "--truth", few, "--warc", tmp_path / "b.warc.gz"
    )


@pytest.mark.slow
def test_training_gives_the_same_model_twice_and_a_report(tmp_path: Path, labelled: Path) -> None:
    pytest.importorskip("lightgbm")
    for name in ("a", "b"):
        done = run("train", labelled, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
    (first,), (second,) = (sorted((tmp_path / name).glob("*.npz")) for name in ("a", "b"))
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    load_model(first)
    folds = [model.with_suffix(".folds.jsonl.gz") for model in (first, second)]
    assert folds[0].read_bytes() == folds[1].read_bytes()
    assert read_fold_scores(first).keys() == {page_digest(page(n)[0]) for n in range(60)}
    card = json.loads(first.with_suffix(".json").read_bytes())
    assert card["f1_across_folds"] > 0.95
    assert card["f1_across_folds"] == pytest.approx(
        fmean(words.f1 for words in read_fold_scores(first).values()), abs=1e-4
    )
    assert sum(group["pages"] for group in card["by_length"].values()) == 60
    assert sum(card["loss"].values()) == pytest.approx(1 - card["f1_across_folds"], abs=1e-3)
    assert card["data"][0] | {"sha256": ""} == {
        "set": "made",
        "labels": "by hand",
        "pages": 60,
        "hosts": 20,
        "sha256": "",
        "licence": "not stated",
    }
    assert sum(tenth["pages"] for tenth in card["expected_f1"]) == 60
    assert all(abs(tenth["expected"] - tenth["reached"]) < 0.1 for tenth in card["expected_f1"])
    report = first.with_suffix(".html").read_text()
    assert "path_score" in report
    assert "What is lost" in report
    assert {"forum", "article", "made", first.stem.rpartition("-")[2]} <= set(re.findall(r"\w+", visible_text(report)))


@pytest.mark.slow
def test_the_last_file_that_names_a_page_labels_it(tmp_path: Path, labelled: Path) -> None:
    pytest.importorskip("lightgbm")
    lines = [
        {"url": url, "html": html, "select": ".story", "remove": "h1", "site": "a", "set": "pointed"}
        for n in range(3)
        for url, html, _ in [page(n)]
    ]
    more = tmp_path / "more.jsonl"
    more.write_text("\n".join(map(json.dumps, lines)))
    done = run("train", labelled, more, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    (model,) = tmp_path.glob("*.npz")
    assert model.name.startswith("gristmill-")
    card = json.loads(model.with_suffix(".json").read_bytes())
    data = [(of["set"], of["labels"], of["pages"], of["hosts"]) for of in card["data"]]
    assert data == [("made", "by hand", 57, 20), ("pointed", "by hand", 3, 1)]
    assert card["by_set"]["pointed"]["pages"] == 3


@pytest.mark.slow
def test_a_model_without_a_set_has_a_name_of_its_own_and_extracts_in_a_run(tmp_path: Path, labelled: Path) -> None:
    pytest.importorskip("lightgbm")
    url, html, text = page(70)
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({"url": url, "html": html, "main_content": text, "set": "closed"}))
    done = run("train", labelled, more, "--without", "closed", "--name", "open", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    (model,) = tmp_path.glob("open-*.npz")
    assert [of["set"] for of in json.loads(model.with_suffix(".json").read_bytes())["data"]] == ["made"]
    config = ExtractConfig.parse({"engine": "gristmill", "model": str(model)}, "test")
    assert config.digests() == {"extract.engine": model.stem}
    assert config.files() == {str(model): model}
    extracted = config.build()(batch(html))["text"][0].as_py()
    assert extracted.splitlines() == text.splitlines()


def test_training_without_lightgbm_says_what_to_install(labelled: Path) -> None:
    code = (
        "import sys; sys.modules['lightgbm'] = None; sys.argv = ['gristmill', 'extractor', 'train', sys.argv[1]];"
        "from pipelines.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, labelled], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'gristmill[extractor]'" in done.stderr


def test_truth_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"url": "u"}\n\nnot json\n')[:-6])
    with pytest.raises(UserError, match=r"t\.jsonl\.gz"):
        read_truth(path)


def test_odd_truth_is_scored(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"url": "http://[a/", "html": article("One"), "main_content": " ".join(SENTENCES)},
        {"url": "https://b.example/", "html": "", "main_content": ""},
        {"url": "https://c.example/", "main_content": "c"},
    ]
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    done = run("score", "gristmill", "--truth", path, "--json")
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)
    assert (scores["pages"], scores["missing"]) == (2, 1)
    assert scores["f1_interval"] is not None


def test_damage_in_a_warc_file_is_reported(tmp_path: Path) -> None:
    crawl = Crawl().page("https://a.example/", "<p>x").page("https://b.example/", "<p>y")
    whole = crawl.write(tmp_path / "whole.warc.gz")
    (tmp_path / "cut.warc.gz").write_bytes(whole.read_bytes()[:-20])
    (tmp_path / "none.warc.gz").write_bytes(b"<html>")
    truth = [{"url": f"https://{name}.example/", "main_content": "x"} for name in "abb"]
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(map(json.dumps, truth)))
    done = run(
        "score", "resiliparse", "--truth", path, "--warc", tmp_path / "cut.warc.gz", "--warc", tmp_path / "none.warc.gz"
    )
    assert done.exit_code == 0
    assert re.search(r"damaged: .*cut\.warc\.gz: offset \d+: ", done.stderr)
    assert re.search(r"damaged: .*none\.warc\.gz: offset 0: not a WARC file", done.stderr)
    assert "names 1 URL twice (https://b.example/)" in done.stderr
    for arguments in (("score", "resiliparse", "--truth", path), ("train", path, "--out", tmp_path)):
        done = run(*arguments, "--warc", tmp_path / "none.warc.gz")
        assert re.search(r"none of its pages \(3\) .*none\.warc\.gz: offset 0: not a WARC file", str(done.exception))
        assert isinstance(done.exception, UserError)


def test_a_file_of_much_damage_is_reported_once(tmp_path: Path) -> None:
    records = [Crawl().page(f"https://{n}.example/", "<p>x").write(tmp_path / "r").read_bytes() for n in range(5)]
    (tmp_path / "c.warc.gz").write_bytes(b"".join(record + b"odd" for record in records))
    (tmp_path / "truth.jsonl").write_text('{"url": "https://4.example/"}\n{"url": "https://9.example/"}')
    done = run("score", "resiliparse", "--truth", tmp_path / "truth.jsonl", "--warc", tmp_path / "c.warc.gz")
    assert done.exit_code == 0
    assert done.stderr.count("damaged: ") == 1
    assert "(and 4 more)" in done.stderr


def test_pages_after_the_first_unit_of_a_warc_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleaners.crawl.warc.UNIT_RECORDS", 2)
    crawl = Crawl()
    for n in range(7):
        crawl.page(f"https://a.example/{n}", "<p>x")
    file = crawl.write(tmp_path / "a.warc.gz")
    messages: list[str] = []
    truth = [{"url": f"https://a.example/{n}"} for n in (0, 3, 6)]
    assert [page.url for page in crawl_pages([str(file)], truth, messages.append)] == [page["url"] for page in truth]
    assert messages == []


def test_training_reports_pages_that_are_missing(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    lines = [{"url": "http://[a/", "html": "<p>x", "main_content": "x"}, {"url": "https://b.example/", "with": ["x"]}]
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    done = run("train", path, "--out", tmp_path)
    assert "1 pages of the truth are not in the WARC files, nor brought as html" in done.stderr
    assert str(done.exception).startswith("1 labelled pages are too few"), "of an address that urlsplit refuses"


def test_a_model_that_cannot_be_saved_does_not_say_that_training_resumes(
    tmp_path: Path, labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightgbm")

    def full(*_: object) -> None:
        error = OSError(errno.ENOSPC, "No space left on device")
        raise disk_error(tmp_path / "m.npz", error) from error

    monkeypatch.setattr("cleaners.extraction.training.train.train_extractor", full)
    done = run("train", labelled, "--out", tmp_path)
    assert isinstance(done.exception, RunError)
    assert "No space left on device" in str(done.exception)
    assert "resumes" not in str(done.exception)


@pytest.mark.slow
def test_training_on_snippets_alone_has_no_f1(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    lines = [
        {"url": url, "html": html, "with": text.split("\n")[1:], "without": ["Contact", "Read this too: 1"]}
        for n in range(40)
        for url, html, text in [page(n)]
    ]
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    done = run("train", path, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "no F1" in done.output
    (model,) = tmp_path.glob("*.npz")
    assert json.loads(model.with_suffix(".json").read_bytes())["f1_across_folds"] is None
    assert "No F1" in visible_text(model.with_suffix(".html").read_text())


def test_scores_are_split_by_the_sets_of_the_truth(tmp_path: Path) -> None:
    lines = [
        {
            "url": "https://a.example/1",
            "html": article("One"),
            "set": "s",
            "with": [SENTENCES[0]],
            "without": ["Imprint"],
        },
        {"url": "https://b.example/2", "html": article("Two"), "set": "t", "main_content": " ".join(SENTENCES)},
    ]
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    scores = json.loads(run("score", "gristmill", "--truth", path, "--json").stdout)
    assert scores["sets"]["s"] == {"pages": 1, "with_found": 1, "without_avoided": 1, "accuracy": 1}
    assert scores["sets"]["t"] == {"pages": 1, "f1": scores["f1"]}
    assert scores["missing"] == 0
    assert scores["f1_interval"] is None  # one host with a text


def test_a_function_of_the_user_that_fails_is_the_users_mistake_and_names_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text(json.dumps({"url": "https://a.example/1", "html": "<p>x", "main_content": "x"}))
    message = refused(capsys, "score", "operator:add1", "--truth", path)
    assert "operator:add1: no such function" in message
    message = refused(capsys, "score", "operator:truediv", "--truth", path)
    assert "https://a.example/1: operator:truediv failed on it (TypeError" in message


def test_a_bug_in_an_engine_or_a_score_of_ours_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise LookupError("a bug of ours")

    path = tmp_path / "truth.jsonl"
    path.write_text(json.dumps({"url": "https://a.example/1", "html": "<p>x", "main_content": "x"}))
    for patched in ("cleaners.extraction.training.score.score_page", "cleaners.extraction.engine.extract"):
        with monkeypatch.context() as patch:
            patch.setattr(patched, broken)
            done = run("score", "gristmill", "--truth", path)
        assert isinstance(done.exception, LookupError)


@pytest.mark.real
@pytest.mark.slow
def test_the_shipped_model_beats_trafilatura_on_real_pages(real_data: Path, tmp_path: Path) -> None:
    """A loose check: most of these pages are among those that it was trained on."""
    truth = [page for page in read_truth(real_data / "truth/pages.jsonl.gz") if page.get("main_content")]
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(map(json.dumps, truth)))
    warc = real_data / "crawl/part-00.warc.gz"
    done = run("score", "gristmill", "--warc", warc, "--truth", path, "--against", "trafilatura", "--json")
    scores = json.loads(done.stdout)
    assert scores["pages"] >= 150
    assert scores["trafilatura"]["behind_first"]["f1_interval"][0] > 0
    assert scores["f1"] > 0.85
