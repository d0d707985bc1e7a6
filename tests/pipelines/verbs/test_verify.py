"""What was lost or changed in a finished run is found, never blessed, and each finding says what mends it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from crawl import RECIPE, Crawl, article, sentences
from ledger_runs import make_crawl, make_run
from run_digest import digest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import summary, write_report
from pipelines.run.opening import is_done, open_run
from pipelines.verbs.status import describe
from pipelines.verbs.verify import verify_run
from shards.errors import RunError, UserError
from shards.manifest import Chains, Manifest
from shards.sink import ArrowSink, open_arrow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    for number, name in enumerate("abc"):
        made = Crawl()
        for i in range(4):
            made.page(f"https://{name}.example/{i}", article("Page", sentences(10 * number + i)))
        made.page(f"https://{name}.example/short", article("Short", ["Too short."]))
        made.write(folder / "crawl" / f"{name}.warc.gz")
    (folder / "recipe.toml").write_text(RECIPE)
    make(folder / "run")
    return folder


PAGE_AND_PATHS = ("report.html", "recipe.toml")


def make(run: Path) -> None:
    recipe = load_recipe(str(run.parent / "recipe.toml"), [f'source.paths="{run.parent}/crawl"'])
    opened = open_run(recipe, run)
    if not is_done(run):
        execute(opened, InProcess(), lambda _: None)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy")) / "run"


def change(path: Path, edit: Callable[[dict], object]) -> None:
    values = json.loads(path.read_bytes())
    edit(values)
    path.write_text(json.dumps(values))


def lose_unit(run: Path) -> None:
    for path in [*run.glob("shards/web/web-00001-000.*"), run / "ledger/web-00001-000.arrow"]:
        path.unlink()


def lose_shards(run: Path) -> None:
    shutil.rmtree(run / "shards")


def cut_manifest(run: Path) -> None:
    path = run / "shards/web/web-00001-000.json"
    path.write_bytes(path.read_bytes()[:100])


def rename_reason(run: Path) -> None:
    def edit(values: dict) -> None:
        values["stats"]["dropped/gopher_quality.too_many_words"] = values["stats"].pop(
            "dropped/gopher_quality.too_few_words"
        )

    change(run / "shards/web/web-00001-000.json", edit)


def stats_as_text(run: Path) -> None:
    change(run / "shards/web/web-00001-000.json", lambda v: v["stats"].update({"documents/input": "5"}))


def name_no_files(run: Path) -> None:
    change(run / "shards/web/web-00001-000.json", lambda v: v["files"].clear())


def damage_ledger(run: Path) -> None:
    path = run / "ledger/web-00001-000.arrow"
    data = bytearray(path.read_bytes())
    data[1000:-2500] = b"\xff" * (len(data) - 3500)
    path.write_bytes(data)


def lose_texts(run: Path) -> None:
    (run / "texts/web-00001-000.arrow").unlink()


def lose_dropped(run: Path) -> None:
    (run / "dropped/texts.arrow").unlink()


def lose_dedup(run: Path) -> None:
    shutil.rmtree(run / "dedup")


MANIFEST = "shards/web/web-00001-000.json"


@pytest.mark.parametrize(
    ("harm", "says", "doomed"),
    [
        (lose_unit, "web-00001-000.json: missing (a unit of the input b.warc.gz)", []),
        (lose_shards, "web-00000-000.json: missing (a unit of the input a.warc.gz)", []),
        (cut_manifest, "web-00001-000.json: not a manifest", [MANIFEST]),
        (rename_reason, "1 documents dropped for gopher_quality.too_many_words, by the ledger 0", [MANIFEST]),
        (stats_as_text, "not a manifest (stats.documents/input: Input should be a valid integer)", [MANIFEST]),
        (name_no_files, "does not name its shard, its ledger and its texts", [MANIFEST]),
        (damage_ledger, "sha256 differs from its manifest: the file was changed", [MANIFEST]),
        (lose_texts, "texts/web-00001-000.arrow: missing", [MANIFEST]),
        (lose_dropped, "dropped/texts.arrow: missing", []),
        (lose_dedup, "dedup/near/edges.arrow: missing", []),
    ],
)
def test_a_loss_is_found_and_its_remedy_mends_it(
    run: Path, harm: Callable[[Path], None], says: str, doomed: list[str]
) -> None:
    whole = digest(run, PAGE_AND_PATHS)
    harm(run)
    problems = verify_run(run)[1]
    assert any(says in problem for problem in problems), problems
    named = {str(run / name) for name in [*doomed, "report.json"]}
    for problem in problems:
        assert "no manifest knows" not in problem
        if "not a manifest" in problem:
            assert "delete it and the run's report.json" in problem
        elif "gristmill report" not in problem:
            assert all(f" {name}" in problem for name in named), problem
            assert "run the same command again with the inputs at hand" in problem
    for name in [*doomed, "report.json"]:
        (run / name).unlink()
    make(run)
    assert verify_run(run) == (3, [])
    assert digest(run, PAGE_AND_PATHS) == whole


@pytest.mark.parametrize("harm", [lose_unit, lose_shards, cut_manifest, rename_reason, stats_as_text, damage_ledger])
def test_report_refuses_what_is_not_whole_and_leaves_the_old_one(run: Path, harm: Callable[[Path], None]) -> None:
    harm(run)
    before = (run / "report.json").read_bytes()
    with pytest.raises(RunError, match=r"gristmill verify|report\.json, if there is one, and run the same command"):
        write_report(run)
    assert (run / "report.json").read_bytes() == before
    assert verify_run(run)[1]


def test_status_and_summary_tell_of_lost_units(run: Path) -> None:
    lose_unit(run)
    with pytest.raises(RunError, match=r"units are missing for 1 of the inputs, first web-00001-000 of b\.warc\.gz"):
        summary(run)
    assert "units are missing for 1 of the inputs" in list(describe(run))[-1]
    lose_shards(run)
    assert "units are missing for 3 of the inputs" in list(describe(run))[-1]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '"x"', '{"digest": 3}', "[" * 100_000, "\udcff"])
def test_a_broken_run_json_is_one_line_everywhere(run: Path, text: str) -> None:
    (run / "run.json").write_bytes(text.encode(errors="surrogateescape"))
    for command in (verify_run, write_report, lambda folder: list(describe(folder)), make):
        with pytest.raises(RunError, match=r"run\.json: .*; put the file back, or delete the folder") as caught:
            command(run)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.warc.gz", "web/0/a", "web/00000/"])
def test_a_run_json_with_other_inputs_than_were_written_is_refused(run: Path, name: str) -> None:
    change(run / "run.json", lambda values: values.update(input={name: [1, "x"]}))
    with pytest.raises(RunError, match="not what was written"):
        verify_run(run)


def test_a_recipe_that_is_lost_or_broken_is_written_anew(run: Path) -> None:
    for spoil in ((run / "recipe.toml").unlink, lambda: (run / "recipe.toml").write_text("[stage")):
        spoil()
        with pytest.raises(RunError, match=r"recipe\.toml.*run the same command again, it writes the file anew"):
            write_report(run)
        assert any("writes the file anew" in problem for problem in verify_run(run)[1])
        (run / "recipe.toml").unlink(missing_ok=True)
        make(run)
        assert verify_run(run)[1] == []


@pytest.mark.parametrize("text", ["", "[]", "3"])
def test_a_broken_report_is_written_anew(run: Path, text: str) -> None:
    (run / "report.json").write_text(text)
    assert any("`gristmill report" in problem for problem in verify_run(run)[1])
    write_report(run)
    assert verify_run(run)[1] == []


def test_units_and_files_of_no_input_are_named(run: Path) -> None:
    def rename(values: dict) -> None:
        values.update(key="web-00009-000", file="z.warc.gz")

    copy = run / "shards/web/web-00009-000.json"
    shutil.copy(run / MANIFEST, copy)
    assert any(f"{copy}: is the manifest of web/web-00001-000" in problem for problem in verify_run(run)[1])
    change(copy, rename)
    assert f"{copy}: belongs to no input of this run; delete it" in verify_run(run)[1]
    (run / "ledger/stray.arrow").write_bytes(b"")
    assert f"{run}/ledger/stray.arrow: no manifest knows this file; delete it" in verify_run(run)[1]


COPIES = """
    source.web.kind = "warc"
    stage = [
        { kind = "extract", engine = "resiliparse" },
        { kind = "gopher_quality" },
        { kind = "minhash", bands = 14, rows = 8 },
    ]
"""


@pytest.fixture(scope="module")
def with_copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies")
    return make_run(folder / "run", make_crawl(folder / "crawl"), recipe=COPIES)


def rewrite_ledger(run: Path, change: Callable[[dict], object]) -> None:
    """Change rows of the ledger, with manifests that agree, so that only the rows show what is wrong."""
    for path in sorted((run / "ledger").glob("*.arrow")):
        table = open_arrow(path).read_all()
        rows = table.to_pylist()
        for row in rows:
            change(row)
        with ArrowSink(path, table.schema) as sink:
            for batch in pa.Table.from_pylist(rows, table.schema).to_batches():
                sink.write(batch)
        manifest = run / "shards" / "web" / f"{path.stem}.json"
        values = json.loads(manifest.read_bytes())
        values["files"][f"ledger/{path.name}"] |= {"num_bytes": sink.num_bytes, "sha256": sink.sha256}
        manifest.write_text(json.dumps(values))


def test_copies_of_kept_documents_are_those_that_were_removed_for_them(with_copies: Path, tmp_path: Path) -> None:
    assert verify_run(with_copies)[1] == []
    copy = Path(shutil.copytree(with_copies, tmp_path / "run"))

    def one_more(row: dict) -> None:
        if row["url"] == "https://near.example/long":
            row["copies"] += 1

    rewrite_ledger(copy, one_more)
    (problem,) = verify_run(copy)[1]
    assert "has 2 copies by its own count, and 1 by the ledger; the run is not what its recipe makes" in problem


def test_a_copy_of_no_document_is_reported(with_copies: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(with_copies, tmp_path / "run"))

    def of_none(row: dict) -> None:
        if row["url"] == "https://long.example/0":
            row["copies"] = 3

    rewrite_ledger(copy, of_none)
    (problem,) = verify_run(copy)[1]
    assert "copies by " in problem
    assert problem.partition(": ")[0] == f"{copy}/ledger"


def test_a_twin_that_is_not_there_is_reported(with_copies: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(with_copies, tmp_path / "run"))

    def elsewhere(row: dict) -> None:
        if row["url"] == "https://near.example/short":
            row["twin"] = "0" * 32

    rewrite_ledger(copy, elsewhere)
    problems = verify_run(copy)[1]
    assert any(f"removed for {'0' * 32}, which is not there" in problem for problem in problems)


def test_verify_of_a_folder_that_is_no_run_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run of gristmill"):
        verify_run(tmp_path)


def unit(part: int, start: int, next_start: int | None, file: str = "a") -> Manifest:
    return Manifest(f"web-00000-{part:03d}", "web", file, start, next_start, "", {}, [], {})


@pytest.mark.parametrize(
    ("units", "missing"),
    [
        ([unit(0, 0, 5), unit(1, 5, None)], []),
        ([unit(1, 5, None)], ["web-00000-000"]),
        ([unit(0, 0, 5)], ["web-00000-001"]),
        ([unit(0, 0, 5), unit(2, 9, None)], ["web-00000-001"]),
        ([unit(0, 0, 5), unit(1, 6, None)], ["web-00000-001"]),
        ([unit(0, 0, None, file="b")], ["web-00000-000"]),
        ([], ["web-00000-000"]),
    ],
)
def test_a_chain_goes_from_the_first_byte_to_the_end_of_its_file(units: list[Manifest], missing: list[str]) -> None:
    assert [u.key for u in Chains.of(["web/00000/a"], units).missing] == missing
