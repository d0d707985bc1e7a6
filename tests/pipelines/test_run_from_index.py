"""Runs from an index of a crawl: the rows of a run from its WARC files, from a real server, whatever fails."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from crawl import RECIPE, Crawl, article, sentences
from crawl_index import index_of, write_index
from http_server import serving
from run_digest import digest

from pipelines.executors import InProcess, ProcessPool
from pipelines.executors.protocol import Executor
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from pipelines.verbs.explain import explain, lines
from pipelines.verbs.verify import verify_run
from shards import remote
from shards.errors import RunError, UserError
from shards.sink import read_table

PAGES, FILES = 30, 3


def pages_of(number: int) -> bytes:
    crawl = Crawl()
    for i in range(number * PAGES, (number + 1) * PAGES):
        crawl.other("request").page(f"https://site{i % 4}.org/{i}", article(f"Page {i}", sentences(i)))
        crawl.other("metadata")
    return crawl.data


WARCS = {f"crawl-data/CC-MAIN-2024-10/warc/part-{i:02d}.warc.gz": pages_of(i) for i in range(FILES)}
AT_ROOT = {f"/{name}": data for name, data in WARCS.items()}
ROWS = index_of(WARCS, content_languages="eng", fetch_status=200)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds."""
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("shards.http_request.THROTTLED_WAIT_S", 0.001)


def run_from(
    out: Path, paths: Path | str, root: str, where: dict[str, Any] | None = None, executor: Executor | None = None
) -> Path:
    recipe = out.with_suffix(".toml")
    selected = "".join(f"\n[source.web.where]\n{k} = {v}\n" for k, v in (where or {}).items())
    source = f'kind = "index"\nroot = "{root}"\nrequests_per_second = 10_000\n{selected}'
    recipe.write_text('name = "r"\n' + RECIPE.replace('kind = "warc"\n', source))
    run = open_run(load_recipe(str(recipe), [f'source.web.paths=["{paths}"]']), out)
    execute(run, executor or InProcess(), lambda _: None)
    return out


def rows_of(run: Path) -> list[dict[str, Any]]:
    """The kept documents, by file and offset, without what tells the units apart."""
    rows = [row for path in sorted(run.glob("shards/*/*.arrow")) for row in read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: (row["warc_file"], row["warc_offset"]))


def from_warcs(tmp_path: Path) -> Path:
    folder, recipe, out = tmp_path / "warcs", tmp_path / "warc.toml", tmp_path / "warc"
    for name, data in WARCS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    recipe.write_text('name = "r"\n' + RECIPE)
    execute(open_run(load_recipe(str(recipe), [f'source.web.paths="{folder}"']), out), InProcess(), lambda _: None)
    return out


def files_of(run: Path) -> dict[str, str]:
    return digest(run, without=["recipe.toml"])  # which names the port


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return write_index(tmp_path / "index.parquet", random.Random(1).sample(ROWS, len(ROWS)))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "cdxj"])
def test_the_rows_are_those_of_the_warc_files(tmp_path: Path, suffix: str) -> None:
    index = write_index(tmp_path / f"index.{suffix}", random.Random(1).sample(ROWS, len(ROWS)))
    wanted = rows_of(from_warcs(tmp_path))
    with serving(AT_ROOT) as site:
        run = run_from(tmp_path / "out", index, site.url)
        assert rows_of(run) == wanted
        assert len(wanted) > PAGES
        assert len(site.requests) == FILES
    assert verify_run(run)[1] == []
    assert not (run / RunFolder.FAILED).exists()


def test_a_folder_or_a_server_hold_the_same_files(tmp_path: Path, index: Path) -> None:
    from_warcs(tmp_path)
    on_disk = run_from(tmp_path / "out", index, str(tmp_path / "warcs"))
    with serving(AT_ROOT) as site:
        assert files_of(run_from(tmp_path / "other", index, site.url)) == files_of(on_disk)


def test_where_selects_and_says_what_it_excludes(tmp_path: Path) -> None:
    rows = [row | {"content_languages": "zho,eng" if i % 9 == 0 else "eng"} for i, row in enumerate(ROWS)]
    index = write_index(tmp_path / "index.parquet", rows)
    with serving(AT_ROOT) as site:
        run = run_from(tmp_path / "out", index, site.url, {"content_languages": '{ begins = "zho" }'})
        read = [row for path in run.glob("ledger/*.arrow") for row in read_table(path, ["url"]).to_pylist()]
        assert {row["url"] for row in read} == {row["url"] for row in ROWS[::9]}
        with pytest.raises(UserError, match=r"selects no record: `where` excludes all 90 rows"):
            run_from(tmp_path / "none", index, site.url, {"content_languages": '"xyz"'})


@pytest.mark.parametrize("fault", ["busy", "refused", "cut", "no_ranges", "short_ranges", "no_lengths"])
def test_faults_of_the_server_end_with_the_same_bytes(tmp_path: Path, index: Path, fault: str) -> None:
    with serving(AT_ROOT) as site:
        wanted = files_of(run_from(tmp_path / "undisturbed", index, site.url))
        draw = random.Random(3)
        match fault:
            case "busy":
                site.failures = [(draw.choice([500, 502, 503, 429]), {}) for _ in range(7)]
            case "refused":
                site.failures = [(403, {}) for _ in range(5)]
            case "cut":
                site.cuts = [draw.randrange(1, 9000) for _ in range(20)]
            case "no_ranges":
                site.ranges = False
            case "short_ranges":
                site.longest_range = 5000
            case "no_lengths":
                site.lengths = False
        assert files_of(run_from(tmp_path / "out", index, site.url)) == wanted


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_executor(tmp_path: Path, index: Path) -> None:
    with serving(AT_ROOT) as site:
        wanted = files_of(run_from(tmp_path / "one", index, site.url))
        assert files_of(run_from(tmp_path / "two", index, site.url, executor=ProcessPool(2))) == wanted


def test_a_run_whose_server_goes_away_resumes_and_reads_the_index_once(tmp_path: Path, index: Path) -> None:
    with serving(AT_ROOT | {"/index.parquet": index.read_bytes()}) as site:
        wanted = files_of(run_from(tmp_path / "undisturbed", index, site.url))
        at_server = f"{site.url}index.parquet"
        last = sorted(AT_ROOT)[-1]
        site.failures_of[last] = 503
        with pytest.raises(
            RunError, match=r"part-02.warc.gz: offset \d+: the server answers 503, it is busy, 10 times"
        ):
            run_from(tmp_path / "out", at_server, site.url)
        site.failures_of.clear()
        site.requests.clear()
        run = run_from(tmp_path / "out", at_server, site.url)
        assert files_of(run).keys() == wanted.keys()
        assert rows_of(run) == rows_of(tmp_path / "undisturbed")
        assert site.requests == [("GET", "/index.parquet", "bytes=0-0")] + [
            request for request in site.requests if request[1] == last
        ]


def test_what_cannot_be_had_is_listed_and_is_an_index_itself(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[4]["warc_record_offset"] += 7  # in the middle of a member
    rows[PAGES + 3]["warc_record_length"] -= 5
    rows[2 * PAGES - 1]["warc_record_length"] += 1 << 20  # beyond the end of the file
    last = sorted(AT_ROOT)[-1]
    with serving({name: data for name, data in AT_ROOT.items() if name != last}) as site:
        run = run_from(tmp_path / "out", write_index(tmp_path / "index.parquet", rows), site.url)
        failed = [json.loads(line) for line in (run / RunFolder.FAILED).read_text().splitlines()]
        wanted = [row for i, row in enumerate(rows) if i in (4, PAGES + 3, 2 * PAGES - 1) or i >= 2 * PAGES]
        assert [(row["filename"], row["offset"], row["length"], row["url"]) for row in failed] == [
            tuple(row.values())[:4] for row in wanted
        ]
        causes = {row["cause"].partition(";")[0].partition(" (")[0] for row in failed}
        assert "the server answers 404, not found" in causes
        assert "the file ends before these bytes" in causes
        assert verify_run(run)[1] == []
        site.files[last] = AT_ROOT[last]
        again = run_from(tmp_path / "again", run / RunFolder.FAILED, site.url)
        assert len((again / RunFolder.FAILED).read_text().splitlines()) == 3
        assert {row["warc_file"] for row in rows_of(again)} == {last[1:]}


@pytest.mark.parametrize(
    "name", ["../secret.warc.gz", "/secret.warc.gz", "http://127.0.0.1:9/x", "a/../../secret.warc.gz"]
)
def test_no_name_of_an_index_leads_out_of_its_root(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.warc.gz").write_bytes(next(iter(WARCS.values())))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "own.warc.gz").write_bytes(next(iter(WARCS.values())))
    rows = [row | {"warc_filename": file} for row in ROWS[:3] for file in (name, "own.warc.gz")]
    run = run_from(tmp_path / "out", write_index(tmp_path / "index.jsonl", rows), str(tmp_path / "root"))
    assert {row["warc_file"] for row in rows_of(run)} == {"own.warc.gz"}
    damage = json.loads((run / RunFolder.REPORT).read_text())["damage"]
    assert [place["cause"] for place in damage] == ["the index names a file that is not below the source's `root`"]


def test_explain_reads_the_record_again(tmp_path: Path, index: Path) -> None:
    with serving(AT_ROOT) as site:
        run = run_from(tmp_path / "out", index, site.url)
        row = rows_of(run)[0]
        site.requests.clear()
        life = "\n".join(lines(explain(run, row["url"]), run, everything=True))
        assert "body      response, HTTP 200, text/html" in life
        assert len(site.requests) == 1
