"""What was asked to go is gone from every file of a run, and the run is whole."""

import shutil
from pathlib import Path

import pytest
from ledger_runs import make_crawl, make_run, report_of

from pipelines.executors import InProcess
from pipelines.ledger.table import Ledger
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.replay.apply import open_apply
from pipelines.replay.whatif import whatif
from pipelines.report.build import write_report
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from pipelines.verbs import remove as removal
from pipelines.verbs.remove import REASON, Removed, Requests, remove_from_run
from pipelines.verbs.verify import verify_run
from shards.errors import RunError, UserError
from shards.sink import read_table

ASKED = Requests(urls=("http://long.example/1",), domains=("near.example",))
GONE = {"https://long.example/1", "https://near.example/long", "https://near.example/short"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("removal")
    return make_run(folder / "run", make_crawl(folder / "crawl"))


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def rows(run: Path, folder: str) -> list[dict]:
    return [row for path in sorted(run.glob(f"{folder}/**/*.arrow")) for row in read_table(path).to_pylist()]


def fates(run: Path) -> dict[str, list[str]]:
    return {row["url"]: row["drop_reasons"] for row in rows(run, "ledger")}


def files(run: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file() and p.name != ".lock"
    }


def test_no_file_of_the_run_holds_the_text_and_the_run_is_whole(run: Path) -> None:
    before = fates(run)
    texts = [row["text"] for row in rows(run, "shards") + rows(run, "dropped") if row["url"] in GONE]
    write_report(run)
    told = remove_from_run(run, ASKED)
    assert len(texts) == 3
    held = [
        row[name]
        for folder in ("shards", "dropped", "texts")
        for row in rows(run, folder)
        for name in ("text", "given")
        if row.get(name)
    ]
    assert held
    assert not set(held) & set(texts)
    assert not any(text[:150].encode() in (run / "report.html").read_bytes() for text in texts)
    assert verify_run(run)[1] == []
    kept = {url for url in GONE if not before[url]}
    assert fates(run) == before | {url: [REASON] for url in kept}
    assert report_of(run)["dropped"][REASON] == len(kept) == told.num_kept == 2
    assert told.num_documents == 3
    assert {row["url"] for row in rows(run, "shards")} == {
        row["url"] for row in rows(run, "ledger") if not row["drop_reasons"]
    }


def test_shards_that_changed_are_told_for_the_tokenizer(run: Path) -> None:
    before = files(run)
    told = remove_from_run(run, ASKED)
    changed = {
        run / name for name, data in files(run).items() if before.get(name) != data and name.startswith("shards/")
    }
    assert set(told.shards) == {path for path in changed if path.suffix == ".arrow"}


def test_a_second_request_for_the_same_finds_nothing(run: Path) -> None:
    remove_from_run(run, ASKED)
    before = files(run)
    assert remove_from_run(run, ASKED) == Removed(run)
    assert files(run) == before


def test_the_log_says_what_and_why_and_holds_no_text(run: Path) -> None:
    remove_from_run(run, ASKED)
    log = (run / "removals.jsonl").read_text().splitlines()
    assert len(log) == 3
    assert all(any(url in line for url in GONE) for line in log)
    assert sum("domains near.example" in line for line in log) == 2


@pytest.mark.parametrize("at", range(9))
def test_a_removal_killed_at_any_write_is_completed_by_the_same_command(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    whole = Path(shutil.copytree(run, tmp_path / "whole"))
    remove_from_run(whole, ASKED)
    steps = iter(range(at, -1, -1))

    def dying(owner: object, name: str):
        real = getattr(owner, name)

        def step(*args):
            if next(steps, -1) == 0:
                raise KeyboardInterrupt
            return real(*args)

        return step

    with monkeypatch.context() as patch:
        for name in ("_rewrite", "write_manifest", "write_report_json"):
            patch.setattr(removal, name, dying(removal, name))
        patch.setattr(RunFolder, "write", dying(RunFolder, "write"))
        with pytest.raises(KeyboardInterrupt):
            remove_from_run(run, ASKED)
    assert at == 0 or any("cut short" in problem for problem in verify_run(run)[1])
    remove_from_run(run, ASKED)
    assert verify_run(run)[1] == []
    assert files(run) == files(whole)


def test_apply_and_a_repair_leave_it_out_and_whatif_counts_on(run: Path, tmp_path: Path) -> None:
    remove_from_run(run, ASKED)
    whatif(run, ["gopher_quality.min_words=60"])
    execute(open_apply(run, ["near.threshold=0.99"], tmp_path / "new"), InProcess(), lambda _: None)
    assert verify_run(tmp_path / "new")[1] == []
    assert not GONE & {row["url"] for row in rows(tmp_path / "new", "shards")}
    (run / "report.json").unlink()
    for path in run.glob("shards/*/*.json"):
        path.unlink()
    execute(open_run(load_recipe(str(run / "recipe.toml")), run), InProcess(), lambda _: None)
    assert verify_run(run)[1] == []
    assert not GONE & {row["url"] for row in rows(run, "shards")}


def test_an_unfinished_run_and_an_empty_request_are_the_users_mistake(run: Path) -> None:
    with pytest.raises(UserError, match="nothing to remove"):
        Requests()
    with pytest.raises(UserError, match="32 hex digits"):
        Requests(ids=("abc",))
    with pytest.raises(UserError, match="cannot be read"):
        Requests(domains=("no/list.txt",))
    for url in ("", " ", "near.example", "https://near.example/*"):
        with pytest.raises(UserError, match="is no whole URL"):
            Requests(urls=(url,))
    (run / "report.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        remove_from_run(run, ASKED)


@pytest.mark.parametrize(
    "line",
    [
        "near.example",
        "NEAR.example.",
        "www.near.example",
        "*.near.example",
        ".near.example",
        "https://near.example/",
        "http://www.near.example",
        "0.0.0.0 near.example",
        "||near.example^",
        "\ufeffnear.example",
        "near.example # they asked in May",
    ],
)
def test_a_line_of_opt_outs_means_its_site(run: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "opt-outs.txt").write_text(f"# asked\n\n{line}\n")
    assert remove_from_run(run, Requests(domains=(str(tmp_path / "opt-outs.txt"),))).num_documents == 2


@pytest.mark.parametrize("line", ["near.example/a", "near.example,far.example", "near", "a b.example"])
def test_a_line_that_names_no_site_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "opt-outs.txt").write_text(f"far.example\n{line}\n")
    with pytest.raises(UserError, match=r"opt-outs\.txt:2: .* is no domain"):
        Requests(domains=(str(tmp_path / "opt-outs.txt"),))


@pytest.mark.parametrize("file", ["ledger/*.arrow", "shards/*/*.arrow"])
def test_a_damaged_run_is_told_and_not_taken_for_a_smaller_one(run: Path, tmp_path: Path, file: str) -> None:
    gone = next(iter(sorted(run.glob(file))))
    gone.unlink()
    with pytest.raises(RunError, match=f"{gone.name}: missing"):
        remove_from_run(run, ASKED)
    with pytest.raises(RunError, match=f"{gone.name}: missing"):
        Ledger.open(run)


def test_shards_that_are_a_source_are_those_of_their_manifests(run: Path, tmp_path: Path) -> None:
    recipe = f'[source.web]\nkind = "shards"\npaths = ["{run}/shards"]\n[[stage]]\nkind = "exact"\n'
    (tmp_path / "next.toml").write_text(recipe)
    given = load_recipe(str(tmp_path / "next.toml"))
    open_run(given, tmp_path / "whole")
    shard = next(iter(sorted(run.glob("shards/*/*.arrow"))))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    with pytest.raises(UserError, match="where its manifest says"):
        open_run(given, tmp_path / "cut")
    shard.unlink()
    with pytest.raises(UserError, match=f"{shard.name}: missing"):
        open_run(given, tmp_path / "gone")
