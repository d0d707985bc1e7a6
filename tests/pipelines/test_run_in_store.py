"""Runs whose folder is on a real S3 server (moto): the bytes of a run on disk, whatever fails, and every verb."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from command import gristmill
from ledger_runs import GLOBAL_STAGES, LEDGER_RECIPE, make_crawl, make_run
from run_digest import digest, objects, stored
from s3_server import Faults, Proxy

from pipelines.report.build import write_report
from pipelines.run.folder import RunFolder
from pipelines.verbs.remove import Requests, remove_from_run
from pipelines.verbs.status import describe
from pipelines.verbs.verify import verify_run
from shards import mirror
from shards.atomic import append_synced, write_bytes
from shards.errors import UserError

full = pytest.mark.skipif("GRISTMILL_TEST_S3" not in os.environ, reason="`make test-s3` runs it")
SECRETS = ("key-that-nobody-may-see", "secret-that-nobody-may-see")


def on_disk(run: Path) -> dict[str, str]:
    """sha256 of every file but those that hold times."""
    return digest(run, without=[RunFolder.REPORT_PAGE])


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


def make_stored(url: str, crawl: Path, tmp_path: Path) -> Path:
    from pipelines.executors import InProcess
    from pipelines.passes import execute
    from pipelines.recipe import load_recipe
    from pipelines.run.opening import open_run

    path = tmp_path / "local.toml"  # a run knows its name
    path.write_text(LEDGER_RECIPE)
    folder = mirror.local(url)
    execute(open_run(load_recipe(str(path), [f'source.web.paths="{crawl}"']), folder), InProcess(), lambda _: None)
    return folder


@pytest.mark.slow
def test_a_run_in_a_store_has_the_bytes_of_one_on_disk_and_is_read_as_that(
    s3: Proxy, crawl: Path, tmp_path: Path
) -> None:
    local = make_run(tmp_path / "local", crawl)
    s3.faults = Faults(cut=0.1, late_s=10)
    make_stored(s3.folder, crawl, tmp_path)
    s3.faults = Faults()
    assert stored(s3.folder) == on_disk(local)
    folder = mirror.local(s3.folder)
    assert [line.replace(s3.folder, str(local)) for line in describe(folder)] == list(describe(local))
    assert verify_run(folder) == (2, [])
    write_report(folder)
    write_report(local)
    assert stored(s3.folder) == on_disk(local)
    for run in (folder, local):
        remove_from_run(run, Requests(domains=("long.example",)))
    assert stored(s3.folder) == on_disk(local)
    assert mirror.exists(folder / RunFolder.REPORT_PAGE)
    hidden = (*SECRETS, "gristmill-mirrors-")
    assert not any(text.encode() in data for data in objects(s3.folder).values() for text in hidden)


def test_pages_that_killed_the_extractor_are_known_to_every_machine(s3: Proxy) -> None:
    one, other = (RunFolder(mirror.local(s3.folder)) for _ in range(2))
    append_synced(one.path(RunFolder.KILLS), b'{"id": "1"}\n')
    append_synced(other.path(RunFolder.KILLS), b'{"id": "2"}\n')
    lines = b"".join(sorted(one.journal(RunFolder.KILLS).splitlines(keepends=True)))
    assert lines == b'{"id": "1"}\n{"id": "2"}\n'
    one.set_journal(RunFolder.KILLS, lines)
    assert objects(s3.folder) == {"kills.jsonl": lines}


def test_a_folder_that_holds_something_else_is_refused(s3: Proxy, crawl: Path, tmp_path: Path) -> None:
    write_bytes(mirror.local(s3.folder) / "notes" / "mine.txt", b"")
    with pytest.raises(UserError, match=f"^{s3.folder}: is not empty and is no run of gristmill"):
        make_stored(s3.folder, crawl, tmp_path)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, crawl: Path) -> Path:
    """A recipe with every global stage, and a set that is searched for."""
    folder = tmp_path_factory.mktemp("recipe")
    items = ["The mill stands by the river and it has ground the corn of the valley for three hundred years"]
    (folder / "set.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in items))
    recipe = (LEDGER_RECIPE + GLOBAL_STAGES).replace("SET", str(folder / "set.jsonl"))
    (folder / "all.toml").write_text(recipe.replace("[source.web]", f'[source.web]\npaths = ["{crawl}"]'))
    return folder / "all.toml"


@pytest.fixture(scope="module")
def local(recipe: Path) -> Path:
    done = gristmill("run", recipe, "--out", "run", "--workers", "2", cwd=recipe.parent)
    assert done.returncode == 0, done.stderr
    return recipe.parent / "run"


@pytest.mark.slow
@full
def test_a_run_comes_through_a_store_that_fails_and_lists_late(s3: Proxy, recipe: Path, local: Path) -> None:
    s3.faults = Faults(busy=0.03, slow=0.03, cut=0.1, unanswered=0.02, unanswered_if=0.2, late_s=10)
    done = gristmill("run", recipe, "--out", s3.folder, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert all(s3.injected[fault] for fault in ("busy", "slow", "cut", "unanswered"))
    s3.faults = Faults()
    assert stored(s3.folder) == on_disk(local)
    assert f"in {s3.folder}/shards" in done.stdout
    assert not any(text in done.stdout + done.stderr for text in (*SECRETS, "gristmill-mirrors"))


@pytest.mark.slow
@full
def test_a_run_with_little_room_for_copies_fetches_them_again(
    s3: Proxy, recipe: Path, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRISTMILL_SCRATCH_BYTES", "50000")
    done = gristmill("run", recipe, "--out", s3.folder, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert stored(s3.folder) == on_disk(local)
    assert max(Counter(key for kind, key in s3.log if kind == "GET" and key.endswith(".text.arrow")).values()) > 1


def kill_at_random(words: list[str], kills: int, seed: int, scratch: Path, whole_s: float) -> int:
    """Run the command, which takes about `whole_s`: killed as often, each time on another disk, then to its end.

    How often a kill came in time.
    """
    draw, killed = Random(seed), 0
    for number in range(kills):
        environment = os.environ | {"GRISTMILL_SCRATCH": str(scratch / str(number))}
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        time.sleep(draw.uniform(1.5, whole_s / 4))
        killed += process.poll() is None
        process.kill()
        process.communicate()
    done = gristmill(*words)
    assert done.returncode == 0, done.stderr
    return killed


@pytest.mark.slow
@full
def test_a_run_that_is_killed_goes_on_elsewhere_to_the_same_bytes(
    s3: Proxy, recipe: Path, local: Path, tmp_path: Path
) -> None:
    words = ["run", str(recipe), "--out", s3.folder, "--workers", "2"]
    assert kill_at_random(words, 5, 0, tmp_path, 16.0) >= 3
    assert stored(s3.folder) == on_disk(local)


@pytest.mark.slow
@full
def test_every_verb_takes_a_run_in_a_store(s3: Proxy, recipe: Path, tmp_path: Path) -> None:
    text, plain, local = recipe.read_text(), tmp_path / "plain.toml", tmp_path / "plain"
    first, last = text.index('[[stage]]\nkind = "paragraphs"'), text.index('[[stage]]\nkind = "decontaminate"')
    plain.write_text(text[:first] + text[last:])  # whose global stages `whatif` can decide again

    def ask(*words: str | Path) -> str:
        done = gristmill(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "gristmill-mirrors" not in done.stdout + done.stderr
        return done.stdout

    one, other, threshold = s3.folder + "/one", s3.folder + "/other", ("--set", "near.threshold=0.95")
    ask("run", plain, "--out", one, "--executor", "in-process")
    ask("run", plain, "--out", local, "--executor", "in-process")
    for words in (
        ("status",),
        ("verify",),
        ("whatif", *threshold),
        ("explain", "https://near.example/short"),
        ("pairs",),
        ("contamination",),
    ):
        verb, *more = words
        assert ask(verb, one, *more).replace(one, "RUN") == ask(verb, local, *more).replace(str(local), "RUN")
    ask("apply", one, *threshold, "--out", other, "--executor", "in-process")
    ask("apply", local, *threshold, "--out", tmp_path / "other", "--executor", "in-process")
    assert stored(other) == on_disk(tmp_path / "other")
    assert "with another fate" in ask("diff", one, other)
    assert ask("report", one) == f"wrote {one}/report.html\n"
    added = ask("index", "add", "index", one, "--executor", "in-process")
    assert one in added
    assert ask("index", "query", "index", "--url", "https://long.example/1")
    trained = ask("tokenizer", "train", f"{one}/shards", "--out", "tokenizer.json", "--vocab-size", "300")
    assert "300 entries" in trained
    for name, shards in (("a", f"{one}/shards"), ("b", local / "shards"), ("c", one), ("d", f"{one}/shards/web")):
        assert f"{name}: the sources web" in ask("tokenize", shards, "--tokenizer", "tokenizer.json", "--out", name)
        assert digest(tmp_path / name) == digest(tmp_path / "a")
    assert "is done already" in ask("run", f"{one}/recipe.toml", "--out", one)
    (tmp_path / "again.toml").write_text(
        f'[source.web]\nkind = "shards"\npaths = ["{one}/shards"]\n[[stage]]\nkind = "exact"\n'
    )
    assert "0 kept" not in ask("run", "again.toml", "--out", f"{s3.folder}/again", "--executor", "in-process")
    assert "changed:" in ask("remove", one, "--domains", "long.example")
    assert "whole" in ask("verify", one)
    ask("run", plain, "--out", one, "--overwrite", "--executor", "in-process")
    assert "whole" in ask("verify", one)


@pytest.mark.slow
@full
def test_a_second_driver_is_told_who_works_there(s3: Proxy, recipe: Path) -> None:
    words = [sys.executable, "-m", "pipelines", "run", str(recipe), "--out", s3.folder, "--workers", "1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        while ("PUT", f"{s3.folder.removeprefix('s3://bucket/')}/.lock") not in s3.log:
            time.sleep(0.05)
        done = gristmill(*words[3:])
        assert done.returncode == 2
        assert f"{s3.folder}: another gristmill works in this folder: process {first.pid} on" in done.stderr
        first.communicate()
        assert first.returncode == 0


@pytest.mark.slow
@full
def test_a_store_that_is_down_is_one_line_without_secrets(
    s3: Proxy, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:word-that-nobody-may-see@127.0.0.1:9")
    for words in (("run", recipe, "--out"), ("status",)):
        done = gristmill(*words, s3.folder)
        assert done.returncode in (1, 2)
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith(f"gristmill: {s3.folder}")
        assert "nobody-may-see" not in done.stdout + done.stderr


@pytest.mark.slow
@full  # and not `real`: without `make test-s3` it is skipped although the data are there
@pytest.mark.parametrize("kills", [0, 5])
def test_the_crawl_in_a_store_has_the_shards_and_ledger_of_the_crawl_on_disk(
    s3: Proxy, real_data: Path, language_model: Path, tmp_path: Path, kills: int
) -> None:
    files = sorted((real_data / "crawl").glob("*.warc.gz"))[: int(os.environ.get("GRISTMILL_TEST_FILES", "8"))]
    words = ["run", "gristmill", "--set", f"source.paths={json.dumps([str(file) for file in files])}", "--workers", "2"]
    began = time.monotonic()
    done = gristmill(*words, "--out", tmp_path / "disk")
    assert done.returncode == 0, done.stderr
    whole_s = time.monotonic() - began
    assert kill_at_random([*words, "--out", s3.folder], kills, kills, tmp_path, whole_s) >= min(kills, 3)
    assert stored(s3.folder) == on_disk(tmp_path / "disk")
    units = len(mirror.glob(mirror.local(f"{s3.folder}/shards"), "*/*.json"))
    a_unit = {kind: round(number / units, 1) for kind, number in s3.requests.items()}
    sys.stderr.write(f"requests a unit, of {units} units and {kills} kills: {a_unit}\n")
