"""What `gristmill plan` foretells, beside what runs then do."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from crawl import RECIPE, Crawl, article, sentences

from cleaners.crawl.records import read_records
from pipelines.preview import plan
from pipelines.preview.plan import curves, estimate, reckon
from pipelines.preview.probe import Probe, ProbeRun, draw_part
from pipelines.recipe import load_recipe
from pipelines.report.model import Documents, FunnelStage, Summary
from shards.errors import UserError
from shards.source import SourceConfig
from shards.storage import InputFile, find_inputs

SIMILARITIES = (0.7, 0.75, 0.8, 0.85, 0.9)
CURVES = {  # shape: P(match) at SIMILARITIES, and where it is one half
    (450, 20): (0.302, 0.761, 0.995, 1, 1, 0.724),  # RefinedWeb
    (14, 8): (0.565, 0.772, 0.924, 0.988, 1, 0.685),  # FineWeb
    (93, 15): (0.358, 0.714, 0.964, 1, 1, 0.722),  # DCLM
    (14, 9): (0.438, 0.665, 0.867, 0.975, 0.999, 0.715),  # RedPajama-2
    (9, 13): (0.084, 0.195, 0.399, 0.686, 0.929, 0.819),  # TxT360
    (20, 5): (0.975, 0.996, 1, 1, 1, 0.509),
}


@pytest.mark.parametrize(("shape", "expected"), CURVES.items())
def test_curves_are_those_of_the_published_shapes(
    tmp_path: Path, shape: tuple[int, int], expected: tuple[float, ...]
) -> None:
    (tmp_path / "r.toml").write_text(RECIPE)
    settings = [f"near.bands={shape[0]}", f"near.rows={shape[1]}", "near.threshold=0.8"]
    (curve,) = curves(load_recipe(str(tmp_path / "r.toml"), settings))
    assert (curve.stage, curve.bands, curve.rows) == ("near", *shape)
    assert [*curve.p_match] == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert [curve.p_match[x] for x in SIMILARITIES] == pytest.approx(expected[:-1], abs=6e-4)
    assert curve.half_at == pytest.approx(expected[-1], abs=1e-3)


@pytest.fixture
def crawl_file(tmp_path: Path) -> Path:
    made = Crawl()
    for i in range(90):
        made.other("request").page(f"https://a.example/{i}", article(f"Page {i}", sentences(i)))
    return made.write(tmp_path / "crawl" / "a.warc.gz")


def inputs_of(path: Path, config: SourceConfig) -> list[InputFile]:
    return find_inputs([str(path)], config.suffixes, "paths")


def test_a_part_is_distinct_records_as_they_are_stored(tmp_path: Path, crawl_file: Path) -> None:
    config = SourceConfig(kind="warc")
    (tmp_path / "part").mkdir()
    files = inputs_of(crawl_file, config)
    drawn = draw_part(config, "web", files, 30, random.Random(1), tmp_path / "part")
    (part,) = inputs_of(tmp_path / "part", config)
    assert part.num_bytes == drawn < files[0].num_bytes
    whole = Counter((r.head, r.content) for r in read_records(files[0], 0, pytest.fail))
    records = [(r.head, r.content) for r in read_records(part, 0, pytest.fail)]
    assert Counter(records) <= whole
    assert sum(content.startswith(b"HTTP") for _, content in records) == 30


def test_json_lines_are_drawn_as_whole_lines(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "x" * (i % 50), "id": i}) + "\n" for i in range(500)]
    (tmp_path / "a.jsonl").write_text("".join(lines)[:-1])  # the last one has no end
    (tmp_path / "part").mkdir()
    config = SourceConfig(kind="jsonl")
    files = inputs_of(tmp_path / "a.jsonl", config)
    drawn = draw_part(config, "web", files, 100, random.Random(1), tmp_path / "part")
    text = (tmp_path / "part" / "part.jsonl").read_text()
    found = text.splitlines(keepends=True)
    assert len(found) == len(set(found)) == 100
    assert set(found) <= set(lines)
    assert drawn == len(text)


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("jsonl", "a.jsonl", r"a\.jsonl: no estimate for JSON lines that are compressed"),
        ("jsonl", "a.jsonl.gz", r"a\.jsonl\.gz: no estimate for JSON lines that are compressed"),
        ("text", "a.txt", "source.web: no estimate for files of kind text"),
    ],
)
def test_compressed_lines_and_text_files_are_refused(tmp_path: Path, kind: Any, name: str, message: str) -> None:
    import gzip

    made = Crawl(gzip=False).page("https://a.example/1", article("1")).page("https://a.example/2", article("2"))
    (tmp_path / name).write_bytes(gzip.compress(made.buffer.getvalue()))  # one member for all records
    config = SourceConfig(kind=kind)
    with pytest.raises(UserError, match=message) as error:
        draw_part(config, "web", inputs_of(tmp_path / name, config), 5, random.Random(0), tmp_path)
    assert "\n" not in str(error.value)


def funnel_stage(
    stage: str, documents: int, num_bytes: int, bytes_are: Literal["text", "bodies"] = "text"
) -> FunnelStage:
    return FunnelStage(stage, stage, documents, None, None, None, num_bytes, bytes_are)


def probe(input_bytes: int, extract: float, dropped: dict[str, int]) -> Probe:
    """Made up: 100 documents, of which 50 with 1 MB of text reach `exact`."""
    funnel = (
        funnel_stage("page", 80, 9_000_000, "bodies"),
        funnel_stage("extract", 60, 2_000_000),
        funnel_stage("gopher_quality", 50, 1_000_000),
        funnel_stage("same_record", 50, 1_000_000),
        funnel_stage("exact", 40, 800_000),
        funnel_stage("near", 30, 600_000),
    )
    report = Summary(
        1, Documents(100, 30), dropped, failed={}, records={}, bodies={}, damage=(), funnel=funnel, units=1
    )
    seconds = {"read": 0.5, "page": 0.1, "extract": extract, "gopher_quality": 0.2, "write": 0.1, "exact": 0.05}
    disk = {"work": 5000, "texts": 1000, "shards": 400, "ledger": 300, "dropped": 200, "dedup": 100, "stages": 2000}
    measured = ProbeRun(input_bytes, seconds, report, disk)
    return Probe(measured, measured, 0.0, 400_000_000)


def reckoned(
    tmp_path: Path, probes: list[Probe], total: int, workers: int = 2, files: int = 2, settings: Any = ()
) -> Any:
    (tmp_path / "r.toml").write_text(RECIPE)
    recipe = load_recipe(str(tmp_path / "r.toml"), settings)
    inputs = {"web": [InputFile(str(i), str(i), total // files) for i in range(files)]}
    return reckon(recipe, inputs, probes, workers, 10**12, 1.0)


def test_more_workers_than_cores_are_reckoned_and_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def one_probe(recipe: Any, inputs: Any, workers: int, report: Any) -> list[Probe]:
        started.append(workers)
        return [probe(1_000_000, 2.0, {}) for _ in range(workers)]

    monkeypatch.setattr(plan, "run_probes", one_probe)
    monkeypatch.setattr(plan, "usable_cores", lambda: 2)
    (tmp_path / "r.toml").write_text(RECIPE)
    for number in range(64):
        (tmp_path / f"{number}.warc.gz").write_bytes(bytes(1_000_000))
    recipe = load_recipe(str(tmp_path / "r.toml"), [f'source.web.paths="{tmp_path}"'])
    few, many = (estimate(recipe, workers, None, lambda _: None) for workers in (2, 64))
    assert started == [2, 2]
    assert few is not None
    assert many is not None
    extraction = [next(part for part in e.parts if part.name == "reading and extraction") for e in (few, many)]
    assert extraction[0].seconds == pytest.approx(32 * extraction[1].seconds)
    assert extraction[0].assumption.endswith("2 at once")
    assert extraction[1].assumption.endswith("64 at once on that many cores, at the rate of 2 here")


def test_an_estimate_follows_from_the_bytes_that_were_tried(tmp_path: Path) -> None:
    probes = [probe(1_000_000, 2.0, {"page.x": 20}), probe(3_000_000, 6.0, {"page.x": 20})]
    found = reckoned(tmp_path, probes, 40_000_000)  # ten times as many
    parts = {part.name: part.seconds for part in found.parts}
    assert parts["start-up"] == pytest.approx(2.0), "the first part took no longer"
    assert parts["reading and extraction"] == pytest.approx(10 * (1.0 + 0.2 + 8.0) / 2)
    assert parts["rules"] == pytest.approx(10 * 0.4 / 2)
    assert parts["writing"] == pytest.approx((10 * 0.2 + 2000 * 35e-6) / 2)
    assert parts["exact"] == pytest.approx(0.05 + 0.0166 * 20 / 2)  # 20 MB of text, after gopher_quality
    assert parts["near"] == pytest.approx((0.0086 + 6.1e-6 * 112) * 16 / 2)
    assert found.seconds == pytest.approx(sum(parts.values()))
    assert found.memory.num_bytes == 300_000_000 + 2 * 400_000_000
    assert found.disk.num_bytes - found.kept_disk_bytes == 10 * 2 * 5000
    assert found.kept_disk_bytes == 10 * 2 * (400 + 300 + 200 + 100 + 1000)


def test_one_small_file_keeps_one_worker_busy(tmp_path: Path) -> None:
    probes = [probe(1_000_000, 2.0, {})]
    alone, two = (reckoned(tmp_path, probes, 10_000_000, files=files) for files in (1, 2))
    assert alone.parts[1].seconds == pytest.approx(2 * two.parts[1].seconds)
    assert alone.memory == two.memory


def test_a_large_file_keeps_as_many_workers_busy_as_it_has_units(tmp_path: Path) -> None:
    probes = [probe(1_000_000, 2.0, {})]
    one, two, four = (
        reckoned(tmp_path, probes, 250_000_000, workers, files=1).parts[1].seconds for workers in (1, 2, 4)
    )
    assert one == pytest.approx(2 * two)
    assert four == two


def test_texts_of_dropped_documents_stop_at_their_limit(tmp_path: Path) -> None:
    probes = [probe(1_000_000, 2.0, {"page.x": 10, "page.y": 30})]
    for limit, growth in ((1000, 10.0), (100, (100 + 100) / 40), (0, 0.0), (-1, 10.0)):
        found = reckoned(tmp_path, probes, 10_000_000, settings=[f"output.dropped_per_rule={limit}"])
        assert found.kept_disk_bytes == pytest.approx(10 * 1800 + growth * 200, abs=1)


def test_memory_of_large_deduplication_is_that_of_its_texts_within_the_limit(tmp_path: Path) -> None:
    probes = [probe(1_000_000, 2.0, {})]
    found = reckoned(tmp_path, probes, 1_000_000_000)
    assert found.memory.num_bytes == 300_000_000 + 3 * 1_000_000_000  # 1 GB of text reaches it
    assert "deduplication" in found.memory.assumption


def test_every_kind_of_global_stage_has_a_cost() -> None:
    recipe = load_recipe("gristmill")
    costs = {stage.name: stage.cost for pass_ in recipe.passes() for stage in pass_.global_}
    assert len(costs) > 2
    assert all(cost.seconds_per_document or cost.seconds_per_mb for cost in costs.values())


def test_without_inputs_there_are_curves_only(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE)
    assert estimate(load_recipe(str(tmp_path / "r.toml")), 2, None, pytest.fail) is None
    told = gristmill("plan", tmp_path / "r.toml")
    assert "near: 14 bands of 8 rows, half of the pairs at 0.685" in told
    assert "0.565  0.772  0.924" in told
    assert f"for time, memory and disk give inputs: gristmill plan {tmp_path}/r.toml INPUT" in told


def test_a_trial_of_a_small_crawl_tells_every_part(tmp_path: Path, crawl_file: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE)
    phases: list[str] = []
    recipe = load_recipe(str(tmp_path / "r.toml"), [f"source.paths={crawl_file.parent}"])
    found = estimate(recipe, 1, None, lambda progress: phases.append(progress.phase))
    assert found is not None
    names = ["start-up", "reading and extraction", "rules", "writing", "same_record", "exact", "near"]
    assert [part.name for part in found.parts] == names
    assert all(part.seconds >= 0 and part.assumption for part in found.parts)
    assert "90 documents" in found.parts[-1].assumption, "all were drawn: the estimate is of the whole"
    assert set(phases) == {"probe"}


def gristmill(*words: str | Path) -> str:
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def children(pid: int) -> list[int]:
    try:
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []  # it has just ended
    return own + [below for child in own for below in children(child)]


def size_of(folder: Path) -> int:
    total = 0
    with suppress(OSError):  # a folder is deleted meanwhile; another look follows
        for path in folder.rglob("*"):
            with suppress(OSError):
                total += path.stat().st_size
    return total


def peaks_of(folder: Path, *words: str | Path) -> tuple[float, int, int]:
    """(seconds, bytes of memory, bytes on disk) of a command that writes `folder`, looked at 20 times a second."""
    began, memory, disk = time.monotonic(), 0, 0
    process = subprocess.Popen([sys.executable, "-m", "pipelines", *map(str, words)], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        resident = 0
        for pid in (process.pid, *children(process.pid)):
            try:
                resident += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (OSError, IndexError):
                continue  # it has just ended
        memory, disk = max(memory, resident), max(disk, size_of(folder))
        time.sleep(0.05)
    assert process.returncode == 0
    return time.monotonic() - began, memory, disk


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_on_real_pages_time_memory_and_disk_hold_within_a_factor_of_2(
    real_data: Path, language_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "r.toml").write_text(RECIPE + '[[stage]]\nkind = "url_dedup"\n[[stage]]\nkind = "substring"\n')
    paths = ("--workers", "2", "--set", f"source.paths={real_data / 'crawl'}")
    told = json.loads(gristmill("plan", tmp_path / "r.toml", *paths, "--json"))["estimate"]
    actual = peaks_of(tmp_path / "run", "run", tmp_path / "r.toml", "--out", tmp_path / "run", *paths)
    foretold = told["seconds"], told["memory"]["num_bytes"], told["disk"]["num_bytes"]
    ratios = [ours / theirs for ours, theirs in zip(foretold, actual, strict=True)]
    assert all(0.5 < ratio < 2 for ratio in ratios), dict(zip(("time", "memory", "disk"), ratios, strict=True))
