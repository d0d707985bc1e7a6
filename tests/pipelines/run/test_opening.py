"""Whole runs: the same bytes whatever happens, and refusals that destroy nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow.compute as pc
import pytest
from crawl import RECIPE, Crawl, article, sentences
from run_digest import digest

from pipelines.executors import InProcess, ProcessPool
from pipelines.passes import execute
from pipelines.progress import Progress
from pipelines.recipe import load_recipe
from pipelines.run.opening import is_done, open_run
from pipelines.verbs.verify import verify_run
from shards.errors import RunError, UserError
from shards.formats import RUN_FORMAT
from shards.lock import locked
from shards.sink import open_arrow


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """Three WARC files with a duplicate of each sort; the second has pages that end for several reasons."""
    folder = tmp_path / "crawl"
    first, second, third = Crawl(), Crawl(), Crawl()
    for i in range(12):
        first.other("request").page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
        second.page(
            f"https://b.example/{i}",
            article("Short", ["Too short."]) if i % 3 else "<p>",
            status="404 Not Found" if i == 0 else "200 OK",
            record_id=f"<urn:b:{i}>",
        )
        third.page(f"https://c.example/{i}", article(f"Page {i}", sentences(100 + i)), record_id=f"<urn:c:{i}>")
    third.page("https://mirror.example/", article("Page 3", sentences(3)), record_id="<urn:m>")
    near = sentences(5)
    near[2] = near[2].replace("wheel", "mill wheel")
    third.page("https://near.example/", article("Page 5", near), record_id="<urn:n>")
    for name, made in (("a", first), ("b", second), ("c", third)):
        made.write(folder / f"{name}.warc.gz")
    return folder


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def start(
    recipe_file: Path, crawl: Path, out: Path, executor: InProcess | ProcessPool | None = None, **options: bool
) -> Path:
    recipe = load_recipe(str(recipe_file), [f'source.paths="{crawl}"'])
    run = open_run(recipe, out, **options)
    if not is_done(out):
        execute(run, executor or InProcess(), lambda _: None)
    return out


def test_a_run_accounts_for_every_record(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    run = start(recipe_file, crawl, tmp_path / "run")
    report = json.loads((run / "report.json").read_bytes())
    assert report["documents"]["input"] == 38
    assert report["documents"]["input"] == report["documents"]["kept"] + sum(report["dropped"].values())
    assert report["records"] == {"request": 12}
    dropped = report["dropped"]
    assert dropped.pop("page.bad_status") == 1
    assert dropped.pop("dedup.exact") == 1
    assert dropped.pop("dedup.near") == 1
    assert set(dropped) == {"gopher_quality.too_few_words", "extract.no_text"}
    assert verify_run(run) == (3, [])
    ledger = {
        row["url"]: row
        for p in sorted((run / "ledger").glob("*.arrow"))
        for row in open_arrow(p).read_all().to_pylist()
    }
    assert len(ledger) == 38
    near = (
        ledger["https://near.example/"]
        if ledger["https://near.example/"]["drop_reasons"]
        else ledger["https://a.example/5"]
    )
    assert near["drop_reasons"] == ["dedup.near"]
    assert {near["twin"]} <= {ledger[u]["id"] for u in ("https://near.example/", "https://a.example/5")}
    assert 0.75 <= near["similarity"] < 1
    assert ledger["https://b.example/1"]["gopher_quality.word_count"] < 50
    shards = [row for p in sorted((run / "shards/web").glob("*.arrow")) for row in open_arrow(p).read_all().to_pylist()]
    assert [row["id"] for row in shards] == [row["id"] for row in ledger.values() if not row["drop_reasons"]]
    assert not (run / "work").exists()


def test_the_pool_and_any_number_of_workers_give_the_same_bytes(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    here = digest(start(recipe_file, crawl, tmp_path / "here"))
    pool = digest(start(recipe_file, crawl, tmp_path / "pool", ProcessPool(3)))
    assert len(here) > 8
    assert here == pool


def test_units_of_any_size_keep_the_same_documents(
    recipe_file: Path, crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = start(recipe_file, crawl, tmp_path / "whole")
    monkeypatch.setattr("cleaners.crawl.warc.UNIT_RECORDS", 5)
    parts = start(recipe_file, crawl, tmp_path / "parts")

    def ids(run: Path) -> list[str]:
        return [
            i for p in sorted((run / "shards/web").glob("*.arrow")) for i in open_arrow(p).read_all()["id"].to_pylist()
        ]

    assert len(list((parts / "shards/web").glob("*.arrow"))) > 6
    assert ids(whole) == ids(parts)
    assert verify_run(parts)[1] == []


KILLER = """
import os, signal, sys
from pathlib import Path
import shards.atomic
from pipelines.executors import InProcess
from pipelines.recipe import load_recipe
from pipelines.passes import execute
from pipelines.progress import Progress
from pipelines.run.opening import open_run
import cleaners.crawl.warc
cleaners.crawl.warc.UNIT_RECORDS = 7
recipe, crawl, out, renames = sys.argv[1:]
left = int(renames)
real = Path.replace
def replace(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)          # before the rename
    done = real(self, target)
    if left == -1000000:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
Path.replace = replace
run = open_run(load_recipe(recipe, [f'source.paths="{crawl}"']), Path(out))
execute(run, InProcess(), lambda _: None)
"""


@pytest.mark.slow
def test_a_kill_before_any_rename_and_a_rerun_give_the_same_bytes(
    recipe_file: Path, crawl: Path, tmp_path: Path
) -> None:
    """Every file of a run is made by a rename. The process is killed before the k-th one, for k spread over all."""

    def attempt(out: Path, renames: int) -> int:
        command = [sys.executable, "-c", KILLER, str(recipe_file), str(crawl), str(out), str(renames)]
        return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE).returncode

    assert attempt(tmp_path / "calm", 10**9) == 0
    wanted = digest(tmp_path / "calm")
    killed = 0
    for first_kill in (1, 2, 3, 9, 30, 33):
        out = tmp_path / f"killed-{first_kill}"
        renames = first_kill
        while (code := attempt(out, renames)) != 0:
            assert code == -signal.SIGKILL
            killed += 1
            renames += 17
        assert digest(out) == wanted, first_kill
    assert killed > 12


def slow_command(recipe_file: Path, crawl: Path, out: Path, *options: str) -> tuple[Path, list[str]]:
    """(recipe, command of a run) that takes long enough to be interrupted: extraction by trafilatura."""
    slow = recipe_file.with_name("slow.toml")
    slow.write_text(RECIPE.replace('engine = "resiliparse"', 'engine = "trafilatura"'))
    given = ["run", str(slow), "--set", f"source.paths={crawl}", "--out", str(out)]
    return slow, [sys.executable, "-m", "pipelines", *given, *options]


@pytest.mark.slow
def test_a_killed_pool_leaves_no_workers_and_resumes(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    slow, command = slow_command(recipe_file, crawl, out, "--workers", "2")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(out.glob("work/0/*.part")) and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(1)
    ours = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(out).encode() in p.read_bytes()]
    assert ours == []
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    wanted = digest(start(slow, crawl, tmp_path / "calm"))
    assert digest(out) == wanted


def test_ctrl_c_finishes_the_batch_and_says_how_to_resume(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    _, command = slow_command(recipe_file, crawl, out, "--executor", "in-process")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not list(out.glob("work/0/*.part")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "To resume: gristmill run" in told
    assert "Traceback" not in told
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert verify_run(out)[1] == []


def test_the_same_file_given_twice_is_read_twice_and_kept_once(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    file = crawl / "a.warc.gz"
    recipe = load_recipe(str(recipe_file), [f'source.paths=["{file}", "{file}"]'])
    run = tmp_path / "run"
    execute(open_run(recipe, run), InProcess(), lambda _: None)
    report = json.loads((run / "report.json").read_bytes())
    assert report["documents"] == {"input": 24, "kept": 12}
    assert report["dropped"] == {"dedup.same_record": 12}


def test_a_finished_run_is_not_made_again_and_not_destroyed(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    run = start(recipe_file, crawl, tmp_path / "run")
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*.arrow")}
    start(recipe_file, crawl, run)
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*.arrow")} == before
    other = recipe_file.with_name("other.toml")
    other.write_text(RECIPE.replace('kind = "gopher_quality"', 'kind = "gopher_quality"\nmin_words = 51'))
    with pytest.raises(
        UserError, match=r"holds another run; different: .*gopher_quality\.min_words \(50 there, 51 here\)"
    ):
        start(other, crawl, run)
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*.arrow")} == before
    start(other, crawl, run, overwrite=True)
    assert verify_run(run)[1] == []


def test_a_changed_input_is_another_run(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    run = start(recipe_file, crawl, tmp_path / "run")
    Crawl().page("https://new.example/", article("New")).write(crawl / "b.warc.gz")
    with pytest.raises(UserError, match=r"different: .*input\.web/00001/b\.warc\.gz"):
        start(recipe_file, crawl, run)


def test_a_folder_with_other_things_in_it_is_left_alone(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="is not empty and is no run"):
            start(recipe_file, crawl, tmp_path / "home", overwrite=overwrite)
    assert (tmp_path / "home" / "thesis.txt").exists()


def test_damaged_inputs_are_listed_and_the_rest_is_read(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    whole = (crawl / "a.warc.gz").read_bytes()
    (crawl / "d.warc.gz").write_bytes(whole[: len(whole) - 50])
    (crawl / "e.warc.gz").write_bytes(b"")
    run = start(recipe_file, crawl, tmp_path / "run")
    report = json.loads((run / "report.json").read_bytes())
    assert [(d["file"], d["offset"] > 0) for d in report["damage"]] == [("d.warc.gz", True), ("e.warc.gz", False)]
    assert report["records"]["damaged"] == 2
    assert report["dropped"]["dedup.same_record"] == 11


def test_inputs_without_any_document_end_the_run_with_the_reason(recipe_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.warc.gz").write_bytes(b"")
    with pytest.raises(RunError, match=r"empty\.warc\.gz: offset 0: an empty file.*no document could be read"):
        start(recipe_file, tmp_path / "empty.warc.gz", tmp_path / "run")


def test_two_processes_do_not_work_in_one_folder(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (
        locked(tmp_path / "run"),
        pytest.raises(UserError, match="another gristmill works in this folder"),
        locked(tmp_path / "run"),
    ):
        pass


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_ends_the_run_with_a_line_and_a_rerun_completes(
    recipe_file: Path, crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(disk)], check=False, capture_output=True
    ).returncode:
        pytest.skip("cannot mount here")
    try:
        monkeypatch.setattr("pipelines.run.opening._DISK_LEAST", 0)
        monkeypatch.setattr("pipelines.run.opening._DISK_SHARE", 0)
        with pytest.raises(RunError, match="the disk is full; free some space and run the same command again"):
            start(recipe_file, crawl, disk / "run")
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        run = start(recipe_file, crawl, disk / "run")
        assert digest(run) == digest(start(recipe_file, crawl, tmp_path / "calm"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_too_little_free_disk_is_said_before_the_run(
    recipe_file: Path, crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.run.opening._DISK_LEAST", 1 << 60)
    with pytest.raises(
        UserError, match=r"the run needs about 1,152,921\.5 TB and the disk has .* [MGT]B free; free some"
    ):
        start(recipe_file, crawl, tmp_path / "run")


def test_the_free_disk_that_a_run_asks_for_follows_its_inputs(
    recipe_file: Path, crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))
    start(recipe_file, crawl, tmp_path / "run")
    with (crawl / "d.warc.gz").open("wb") as file:
        file.truncate(40_000_000)
    with pytest.raises(UserError, match=r"the run needs about 26\.0 MB and the disk has 20\.0 MB free"):
        start(recipe_file, crawl, tmp_path / "more")


def test_verify_finds_what_was_changed(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    run = start(recipe_file, crawl, tmp_path / "run")
    shard = sorted((run / "shards/web").glob("*.arrow"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    assert any("sha256 differs" in p for p in verify_run(run)[1])
    shard.unlink()
    assert any("missing" in p for p in verify_run(run)[1])
    (run / "ledger" / "stray.arrow").write_bytes(b"x")
    assert any("no manifest knows this file" in p for p in verify_run(run)[1])
    manifest = sorted((run / "shards/web").glob("*.json"))[-1]
    values = json.loads(manifest.read_bytes())
    values["stats"]["documents/kept"] += 1
    manifest.write_text(json.dumps(values))
    problems = verify_run(run)[1]
    assert any("documents in, but" in p for p in problems)
    assert any("report.json" in p and "documents" in p for p in problems)


def test_dropped_texts_are_bounded_and_the_smallest_ids(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(recipe_file), [f'source.paths="{crawl}"', "output.dropped_per_rule=3"])
    run = tmp_path / "run"
    execute(open_run(recipe, run), InProcess(), lambda _: None)
    dropped = open_arrow(run / "dropped/texts.arrow").read_all()
    ledger = [row for p in (run / "ledger").glob("*.arrow") for row in open_arrow(p).read_all().to_pylist()]
    reason = "gopher_quality.too_few_words"
    wanted = sorted(row["id"] for row in ledger if reason in row["drop_reasons"])[:3]
    mask = pc.equal(pc.list_element(dropped["drop_reasons"], 0), reason)
    assert sorted(dropped.filter(mask)["id"].to_pylist()) == wanted


def test_the_order_of_sources_is_part_of_a_run(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    tables = [f'[source.{name}]\nkind = "warc"\npaths = ["{crawl}"]\n' for name in ("a", "b")]
    stages = recipe_file.read_text().split("\n\n", 1)[1]
    digests = []
    for order in (tables, tables[::-1]):
        path = tmp_path / "ordered.toml"
        path.write_text("\n".join([*order, stages]))
        digests.append(open_run(load_recipe(str(path)), tmp_path / f"run-{len(digests)}").digest)
    assert digests[0] != digests[1]


def test_a_file_in_the_place_of_the_run_folder_is_named(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file; choose a folder for --out"):
        start(recipe_file, crawl, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_worker_whose_parent_died_before_it_began_ends_itself(tmp_path: Path) -> None:
    """The parent's pid is handed over; a worker that finds another parent must not wait for work for ever."""
    script = "from pipelines.executors import _Worker; _Worker.start(None, 1); print('alive')"
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


def test_japanese_words_without_their_segmenter_are_refused_at_the_start(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.run.opening.cuts_japanese", lambda: False)
    recipe = load_recipe("fineweb2-ja", [f"source.paths={crawl}"])
    with pytest.raises(UserError, match=r"pip install 'gristmill\[japanese\]'"):
        open_run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_of_which_nothing_is_made_gives_way_to_another(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = open_run(load_recipe(str(recipe_file), [f'source.paths="{crawl}"']), out)
    other = open_run(load_recipe(str(recipe_file), [f'source.paths="{crawl}"', "near.rows=7"]), out)
    assert first.digest != other.digest == other.folder.made_of().digest
    assert "rows = 7" in (out / "recipe.toml").read_text()
    execute(other, InProcess(), lambda _: None)
    with pytest.raises(UserError, match="holds another run; different:"):
        open_run(load_recipe(str(recipe_file), [f'source.paths="{crawl}"']), out)


def test_a_name_that_is_too_long_is_refused_with_a_line(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    for out in (tmp_path / ("x" * 300), tmp_path / ("x" * 300) / "run"):
        with pytest.raises(UserError, match=": cannot be written: File name too long; choose a shorter name"):
            start(recipe_file, crawl, out)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="mounting needs root")
def test_a_finished_run_on_a_read_only_disk_is_asked_for_again(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        run = start(recipe_file, crawl, disk / "run")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        start(recipe_file, crawl, run)
        with pytest.raises(UserError, match="cannot be written: Read-only file system"):
            start(recipe_file, crawl, run, overwrite=True)
        with pytest.raises(UserError, match="cannot be written: Read-only file system"):
            start(recipe_file, crawl, disk / "other")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def without_its_number(run: Path) -> None:
    """Makes the run one of the oldest format."""
    parts = json.loads((run / "run.json").read_bytes())
    del parts["format"]
    (run / "run.json").write_text(json.dumps(parts))


def test_the_number_of_the_format_is_no_part_of_the_fingerprint(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    run = open_run(load_recipe(str(recipe_file), [f'source.paths="{crawl}"']), tmp_path / "run")
    there = run.folder.made_of()
    assert (there.format, there.parts) == (RUN_FORMAT, run.fingerprint)
    without_its_number(tmp_path / "run")
    there = run.folder.made_of()
    assert (there.format, there.parts) == (1, run.fingerprint)


def test_a_run_under_way_in_an_older_format_is_begun_anew_only_when_told(
    recipe_file: Path, crawl: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run = open_run(load_recipe(str(recipe_file), [f'source.paths="{crawl}"']), out)

    def stop(progress: Progress) -> None:
        if progress.phase == "finish":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(run, InProcess(), stop)
    assert list(out.glob("work/*/*.json"))
    without_its_number(out)
    before = digest(out)
    with pytest.raises(UserError) as raised:
        start(recipe_file, crawl, out)
    assert str(raised.value) == (
        f"{out}: the run is not finished, and this gristmill cannot go on with work of format 1; run its command again "
        "with --overwrite, which begins it anew: its units are made again, and nothing else is lost"
    )
    assert digest(out) == before
    (out / "notes.txt").write_text("mine")
    start(recipe_file, crawl, out, overwrite=True)
    assert digest(out, without=["notes.txt"]) == digest(start(recipe_file, crawl, tmp_path / "other"))
    assert (out / "notes.txt").exists()


def test_a_run_of_an_older_format_that_misses_a_finished_unit_is_completed_in_todays(
    recipe_file: Path, crawl: Path, tmp_path: Path
) -> None:
    run = start(recipe_file, crawl, tmp_path / "run")
    whole = digest(run)
    without_its_number(run)
    for name in ("report.json", "shards/web/web-00001-000.json"):
        (run / name).unlink()
    assert digest(start(recipe_file, crawl, run)) == whole


def test_a_finished_run_of_an_older_format_stays_as_it_is(recipe_file: Path, crawl: Path, tmp_path: Path) -> None:
    run = start(recipe_file, crawl, tmp_path / "run")
    without_its_number(run)
    before = digest(run)
    start(recipe_file, crawl, run)
    assert digest(run) == before
