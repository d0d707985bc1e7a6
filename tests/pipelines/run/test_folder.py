"""`RunFolder` names the files of a run: no more and no fewer than there are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from crawl import RECIPE, Crawl, article, sentences

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.folder import MadeOf, RunFolder
from pipelines.run.opening import open_run
from shards.errors import RunError, UserError
from shards.exchange import ALARMS_FILE, EDGES_FILE
from shards.unit_key import UnitKey

SOURCES = '[source.web]\nkind = "warc"\n\n[source.ark]\nkind = "warc"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two sources, of which the later in the alphabet comes first."""
    root = tmp_path_factory.mktemp("folder")
    for name, numbers in (("web/a", range(3)), ("web/b", range(2, 5)), ("ark/c", range(5, 7))):
        crawl = Crawl()
        for i in numbers:
            crawl.page(f"https://{name}.example/{i}", article(f"Page {i}", sentences(i)), record_id=f"<urn:{name}:{i}>")
        near = sentences(0)
        near[2] = near[2].replace("wheel", "mill wheel")
        crawl.page(f"https://{name}.example/near", article("Near", near), record_id=f"<urn:{name}:near>")
        crawl.page(f"https://{name}.example/short", article("Short", ["Too short."]), record_id=f"<urn:{name}:short>")
        crawl.write(root / f"{name}.warc.gz")
    recipe = root / "recipe.toml"
    recipe.write_text(RECIPE.replace('[source.web]\nkind = "warc"\n', SOURCES))
    settings = [f'source.{name}.paths="{root / name}"' for name in ("web", "ark")]
    execute(open_run(load_recipe(str(recipe), settings), root / "run"), InProcess(), lambda _: None)
    return root / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunFolder:
    """A copy of the finished run, to be changed."""
    shutil.copytree(made, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def files(run: RunFolder) -> set[str]:
    return {str(path.relative_to(run.root)) for path in run.root.rglob("*") if path.is_file()}


KEYS = (UnitKey("web", 0, 0), UnitKey("web", 1, 0), UnitKey("ark", 0, 0))


def test_a_finished_run_has_the_files_that_its_folder_names_and_no_others(made: Path) -> None:
    run = RunFolder(made)
    kinds = (RunFolder.shard, RunFolder.manifest, RunFolder.ledger, RunFolder.texts)
    names = {name(key) for key in KEYS for name in kinds}
    names |= {RunFolder.RUN, RunFolder.RECIPE, RunFolder.REPORT, RunFolder.SECONDS, RunFolder.DROPPED_TEXTS}
    names |= {RunFolder.dedup("near", name) for name in (EDGES_FILE, ALARMS_FILE)}
    assert files(run) - {".lock"} == names
    assert all(run.has(name) and run.path(name) == made / name for name in names)
    assert not run.has(RunFolder.WORK)


def test_the_units_of_a_finished_run_come_in_the_order_of_its_sources(made: Path) -> None:
    run = RunFolder(made)
    assert run.units() == run.ledgers() == KEYS
    assert [manifest.key for manifest in run.manifests()] == [*map(str, KEYS)]
    run.require_units()


def test_a_run_is_made_of_its_inputs_in_their_order(made: Path) -> None:
    made_of = RunFolder(made).made_of()
    assert list(made_of.inputs) == ["web/00000/a.warc.gz", "web/00001/b.warc.gz", "ark/00000/c.warc.gz"]
    assert made_of.source_order == ["web", "ark"]
    assert made_of.files() == {("web", 0): "a.warc.gz", ("web", 1): "b.warc.gz", ("ark", 0): "c.warc.gz"}
    assert RunFolder(made).recipe().sources.keys() == {"web", "ark"}


def test_units_are_ordered_by_source_then_file_then_part_as_numbers(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    inputs = {f"{source}/{i:05d}/f{i}.warc": [1, "x"] for source in ("zoo", "a-b", "m") for i in range(2)}
    run.write_json(RunFolder.RUN, {"digest": "d", "version": "1", "library": {}, "input": inputs})
    keys = [UnitKey(s, i, part) for s in ("zoo", "a-b", "m") for i in range(2) for part in (0, 2, 999, 1000, 1001)]
    for key in reversed(keys):
        for name in (RunFolder.manifest(key), RunFolder.ledger(key), RunFolder.pass_manifest(3, key)):
            run.write(name, b"")
    assert str(keys[3]) == "zoo-00000-1000"
    assert run.units() == run.ledgers() == run.passed_blocks(3) == tuple(keys)
    assert run.passed_blocks(2) == ()


def test_passes_and_stages_under_way_are_found_by_what_they_leave(tmp_path: Path) -> None:
    run, key = RunFolder(tmp_path), UnitKey("web", 3, 0)
    assert run.passes_under_way() == []
    for number in (0, 2, 10):
        run.write(RunFolder.pass_manifest(number, key), b"")
        run.write(RunFolder.pass_file(number, key, "facts"), b"")
    run.write(f"{RunFolder.stage_work(2, 'near')}/{RunFolder.STAGE_DONE}", b"")
    run.write(f"{RunFolder.stage_work(2, 'exact')}/{key}.arrow", b"")
    run.write_json(RunFolder.WORK_SECONDS, {})
    assert run.passes_under_way() == [0, 2, 10]
    assert run.resolved_stages(2) == ["near"]
    assert run.resolved_stages(0) == []


@pytest.mark.parametrize("name", ["web-x-000", "other-00000-000", "stray"])
def test_a_file_that_belongs_to_no_unit_of_the_run_is_an_error(run: RunFolder, name: str) -> None:
    run.write(f"shards/web/{name}.json", b"{}")
    with pytest.raises(RunError, match=rf"shards/web/{name}.json: no unit of this run has this name; move"):
        run.units()


@pytest.mark.parametrize("data", [b"", b'{"a": 0.5', b"[]", b'{"a": "b"}'])
def test_json_that_is_not_what_was_written_is_one_line_with_its_remedy(run: RunFolder, data: bytes) -> None:
    run.write_json(RunFolder.SECONDS, {"a": 0.5})
    assert run.read_json(RunFolder.SECONDS, dict[str, float]) == {"a": 0.5}
    run.write(RunFolder.SECONDS, data)
    text = message(lambda: run.read_json(RunFolder.SECONDS, dict[str, float]), RunError)
    assert text.startswith(f"{run.path(RunFolder.SECONDS)}: not what was written (")
    assert text.endswith("put the file back, or delete the folder and run again")


@pytest.mark.parametrize("name", [RunFolder.shard, RunFolder.ledger])
def test_a_missing_file_of_a_unit_is_named(run: RunFolder, name: Callable[[UnitKey], str]) -> None:
    run.delete(name(KEYS[1]))
    with pytest.raises(RunError, match=f"{name(KEYS[1])}: missing"):
        run.require_units()


def message(ask: Callable[[], object], kind: type[Exception]) -> str:
    """The message of the error that `ask` raises: one line."""
    with pytest.raises(kind) as raised:
        ask()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert not run.is_run()
    assert not run.is_done()
    for ask in (run.require_done, run.made_of, run.units):
        assert message(ask, UserError) == f"{tmp_path}: no run of gristmill (it has no run.json)"


def test_a_run_that_is_not_finished_is_refused_with_what_to_do(run: RunFolder) -> None:
    run.require_done()
    run.delete(RunFolder.REPORT)
    assert run.is_run()
    assert message(run.require_done, UserError).endswith(
        "the run is not finished; run its command again to resume, then ask again"
    )
    assert message(lambda: run.require_done("or wait"), UserError).endswith("again to resume, or wait")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "run.json: not readable ("),
        (b"\xff", "run.json: not readable ("),
        (b"[]", "run.json: holds no table"),
        (b"{}", "run.json: digest: missing or not what was written"),
        (b'{"digest": "d", "version": 1}', "run.json: version: missing"),
        (b'{"digest": "d", "version": "1", "library": {}, "input": {"web": [1, "x"]}}', "input.web: not what was"),
        (b'{"digest": "d", "version": "1", "library": {}, "input": {"web/00000/a": [1]}}', "input.web/00000/a: not"),
    ],
)
def test_a_broken_fingerprint_is_an_error_that_says_what_is_broken(tmp_path: Path, data: bytes, says: str) -> None:
    run = RunFolder(tmp_path)
    run.write(RunFolder.RUN, data)
    found = message(run.made_of, RunError)
    assert says in found
    assert found.endswith("put the file back, or delete the folder and run again")
    assert message(lambda: MadeOf.read(run.path(RunFolder.RUN)), RunError) == found


def test_a_recipe_that_is_missing_or_broken_is_an_error_with_what_to_do(run: RunFolder) -> None:
    run.write(RunFolder.RECIPE, b'[source.web]\nkind = "nonsense"\n')
    assert message(run.recipe, RunError).endswith(
        "delete the file and run the same command again, it writes the file anew"
    )
    run.delete(RunFolder.RECIPE)
    assert message(run.recipe, RunError).endswith(
        "recipe.toml: missing; run the same command again, it writes the file anew"
    )


def test_clear_removes_the_runs_own_files_and_no_others(run: RunFolder) -> None:
    for name in ("notes.txt", "plots/a.png", "ledger.csv"):
        run.write(name, b"mine")
    for name in (RunFolder.KILLS, RunFolder.REPORT_PAGE, RunFolder.pass_manifest(0, KEYS[0])):
        run.write(name, b"")
    run.clear()
    assert files(run) - {".lock"} == {"notes.txt", "plots/a.png", "ledger.csv"}
    run.clear()


def test_files_are_written_whole_measured_and_deleted(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    schema = pa.schema([("row", pa.int64())])
    name = RunFolder.texts(KEYS[0])
    with run.sink(name, schema) as sink:
        sink.write(pa.record_batch({"row": [1, 2]}, schema))
        assert not run.has(name)
    assert run.num_bytes("texts") == sink.num_bytes
    run.write_json("texts/more.json", {"a": 1})
    assert run.num_bytes("texts") > sink.num_bytes
    assert run.names("texts") == ["texts/more.json", name]
    assert run.names("texts", "*.arrow") == [name]
    run.delete(name)
    run.delete(name)
    assert run.names("texts") == ["texts/more.json"]
    run.delete("texts")
    assert not run.has("texts")


def test_a_folder_whose_name_is_too_long_is_no_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / ("x" * 300))
    for ask in (folder.require_done, folder.made_of):
        with pytest.raises(UserError, match="x: cannot be read: File name too long; name a run's folder"):
            ask()
