"""Times cleaning against datatrove 0.10 on the same WARC files, language model and cores: `make bench-clean`.

Both run FineWeb's stages up to deduplication, without the large URL lists.
"""

import argparse
import gzip
import json
import re
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pyarrow as pa
import tomli_w
from isal import isal_zlib

from benchmarks.rows import ROOT, Rows, median_of, peak_memory, real_crawl, require_peers, run_on
from cleaners.crawl.charset import decode
from cleaners.crawl.records import read_records
from cleaners.crawl.warc import WarcReader
from cleaners.extract import ExtractConfig
from cleaners.extraction.training.score import f1
from cleaners.language_model import language_model_path
from pipelines.recipe import parse_recipe, recipe_text
from shards.sink import read_table
from shards.stage import Batch, StageConfig
from shards.storage import InputFile, find_inputs

PEER_SCRIPT = ROOT / "benchmarks" / "peers" / "clean.py"
GRISTMILL = Path(sys.executable).with_name("gristmill")
ENGINES = {
    "trafilatura": {"engine": "trafilatura", "favour": "balanced"},
    "resiliparse": {"engine": "resiliparse"},
    "gristmill": {"engine": "gristmill"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=3, help="WARC files of the crawl that are timed end to end")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-pages", type=int, default=30_000, help="0 leaves out the memory row")
    options = parser.parse_args()
    data = real_crawl()
    rows = Rows("clean")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        some = folder / "crawl"
        some.mkdir()
        for file in sorted((data / "crawl").glob("*.warc.gz"))[: options.files]:
            (some / file.name).symlink_to(file)
        end_to_end(rows, some, folder, options.repeats)
        filters(rows, some, folder, options.repeats)
        reading(rows, some, options.repeats)
        extraction(rows, data, folder)
        if options.memory_pages:
            memory(rows, data / "crawl", folder, options.memory_pages)
    rows.write()


def end_to_end(rows: Rows, crawl: Path, folder: Path, repeats: int, engines: Iterable[str] = ENGINES) -> None:
    """Pages a second after the start: the time for the crawl less the time for a single page, for both."""
    one = folder / "one"
    one.mkdir()
    for number, file in enumerate(_files(crawl)):  # a file for each worker
        record = next(r for r in read_records(file, 0, _no_damage) if r.headers.get("warc-type") == "response")
        data = gzip.compress(record.head + b"\r\n\r\n" + record.content + b"\r\n\r\n")
        (one / f"{number}.warc.gz").write_bytes(data)
    pages = sum(batch.num_rows for file in _files(crawl) for batch in WarcReader("web", file, 0)) - len(_files(crawl))

    def speed(seconds: Callable[[Path], float]) -> tuple[float, float]:
        start = median_of(repeats, partial(seconds, one))
        return pages / (median_of(repeats, partial(seconds, crawl)) - start), start

    peer = {cores: speed(partial(_peer_seconds, cores=cores)) for cores in ("0", "0,1")}
    for engine in engines:
        recipe = _recipe(folder, engine)
        for cores, executor in (("0", ["in-process"]), ("0,1", ["pool", "--workers", "2"])):
            ours = speed(partial(_ours, recipe, folder=folder, cores=cores, executor=executor))
            what = f"{engine}, {'one worker' if cores == '0' else 'two workers on two cores'}"
            rows.add(f"end to end, {what}", ours[0], peer[cores][0], "pages/s")
            rows.add(f"start, {what}", ours[1], None, "s")


def _recipe(folder: Path, engine: str) -> Path:
    """FineWeb's stages up to deduplication."""
    recipe = tomllib.loads(recipe_text("fineweb")[0])
    recipe["stage"] = [stage for stage in recipe["stage"] if stage["kind"] not in ("minhash", "pii")]
    (extract,) = (stage for stage in recipe["stage"] if stage["kind"] == "extract")
    extract.pop("favour", None)
    extract |= ENGINES[engine]
    path = folder / f"{engine}.toml"
    path.write_text(tomli_w.dumps(recipe))
    return path


def _ours(recipe: Path, crawl: Path, *, folder: Path, cores: str, executor: list[str]) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        command = [GRISTMILL, "run", recipe, "--set", f"source.paths={crawl}", "--out", f"{out}/run", "--executor"]
        return run_on(cores, [*command, *executor])[0]


def _peer_seconds(crawl: Path, *, cores: str) -> float:
    workers = str(len(cores.split(",")))
    command = [require_peers(), PEER_SCRIPT, "--model", language_model_path(), "--workers", workers, crawl]
    return float(json.loads(run_on(cores, command)[1])["seconds"])


def filters(rows: Rows, crawl: Path, folder: Path, repeats: int) -> None:
    """The rule families on the English texts that our extraction gives for the crawl."""
    recipe = tomllib.loads(recipe_text("fineweb")[0])
    kinds = ("gopher_repetition", "gopher_quality", "c4", "fineweb")
    tables = [stage for stage in recipe["stage"] if stage["kind"] in kinds]
    texts = _english_texts(crawl)
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))

    parsed = parse_recipe({"source": {"t": {"kind": "jsonl"}}, "stage": tables}, "bench")
    ours = _stage_times([stage for _, stage in parsed.stages if isinstance(stage, StageConfig)], texts, repeats)
    peer: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        command = [require_peers(), PEER_SCRIPT, "--model", language_model_path(), "--filters", path]
        for name, seconds in json.loads(run_on("0", command)[1])["seconds"].items():
            peer[name].append(1000 * seconds / len(texts))
    names = {
        "gopher_repetition": "GopherRepetitionFilter",
        "gopher_quality": "GopherQualityFilter",
        "c4": "C4QualityFilter",
        "fineweb": "FineWebQualityFilter",
    }
    theirs = {kind: median(peer[name]) for kind, name in names.items()}
    for kind in kinds:
        rows.add(f"rules {kind}", ours[kind], theirs[kind], "ms a document", less_is_better=True)
    what = "all rule families together"
    rows.add(what, sum(ours.values()), sum(theirs.values()), "ms a document", less_is_better=True)


def _english_texts(crawl: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as out:
        stages = "url page extract language".split()
        recipe = tomllib.loads(recipe_text("fineweb")[0])
        recipe["stage"] = [stage for stage in recipe["stage"] if stage["kind"] in stages]
        path = Path(out, "extract.toml")
        path.write_text(tomli_w.dumps(recipe))
        run_on("0,1", [GRISTMILL, "run", path, "--set", f"source.paths={crawl}", "--out", f"{out}/run"])
        return [
            t for shard in sorted(Path(out).glob("run/shards/*/*.arrow")) for t in read_table(shard)["text"].to_pylist()
        ]


def _stage_times(configs: list[StageConfig], texts: list[str], repeats: int) -> dict[str, float]:
    """ms per document of each stage. A stage that edits hands its text to the next, as in a run."""
    first = [
        pa.record_batch({"text": pa.array(texts[i : i + 256], pa.large_string())}) for i in range(0, len(texts), 256)
    ]
    stages = [(config.name, config.build()) for config in configs]
    spent: dict[str, list[float]] = defaultdict(list)
    for attempt in range(repeats + 1):  # the first one compiles or loads kernels
        batches = first
        for name, stage in stages:
            began = time.perf_counter()
            batches = [stage(batch) for batch in batches]
            if attempt:
                spent[name].append(1000 * (time.perf_counter() - began) / len(texts))
    return {name: median(times) for name, times in spent.items()}


def reading(rows: Rows, crawl: Path, repeats: int) -> None:
    """Documents with their HTTP bodies decoded, in MB of gzip a second; the upper limit is inflating alone."""
    files = _files(crawl)
    size = sum(file.num_bytes for file in files) / 1e6

    def timed(read: Callable[[InputFile], None]) -> float:
        def once() -> float:
            began = time.perf_counter()
            for file in files:
                read(file)
            return time.perf_counter() - began

        return size / median_of(repeats, once)

    def documents(file: InputFile) -> None:
        for _ in WarcReader("web", file, 0).rows():
            pass

    def batches(file: InputFile) -> None:
        for _ in WarcReader("web", file, 0):
            pass

    def warcio(file: InputFile) -> None:
        from warcio.archiveiterator import ArchiveIterator

        with Path(file.path).open("rb") as stream:
            for record in ArchiveIterator(stream):
                record.content_stream().read()

    def inflate(file: InputFile) -> None:
        with Path(file.path).open("rb") as stream:
            rest = b""
            while data := rest or stream.read(64 << 10):
                member = isal_zlib.decompressobj(31)
                while not member.eof and data:
                    member.decompress(data)
                    data = b"" if member.eof else stream.read(64 << 10)
                rest = member.unused_data

    speed = timed(documents)
    rows.add("reading WARC: documents, against warcio", speed, timed(warcio), "MB/s")
    rows.add("reading WARC: documents, against inflating alone", speed, timed(inflate), "MB/s")
    rows.add("reading WARC: Arrow batches, against inflating alone", timed(batches), timed(inflate), "MB/s")


def extraction(rows: Rows, data: Path, folder: Path) -> None:
    """F1 over the multiset of words, macro mean over pages with known main content, and by page type."""
    with gzip.open(data / "truth" / "pages.jsonl.gz", "rt", encoding="utf-8") as lines:
        truth = {page["url"]: page for page in map(json.loads, lines) if page.get("main_content")}
    pages = [
        (url, payload, charset)
        for file in _files(data / "crawl")
        for batch in WarcReader("web", file, 0)
        for url, payload, charset in zip(
            *(batch[c].to_pylist() for c in ("url", "payload", "http_charset")), strict=True
        )
        if url in truth
    ]
    texts = {engine: _ours_extracts(ENGINES[engine], pages) for engine in ENGINES}
    texts["stock trafilatura"] = [_stock(payload, url) for url, payload, _ in pages]
    path = folder / "pages.jsonl"
    path.write_text("".join(json.dumps(decode(payload, charset).text) + "\n" for _, payload, charset in pages))
    texts["datatrove"] = json.loads(run_on("0", [require_peers(), PEER_SCRIPT, "--extract", path])[1])["texts"]

    by_type: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for engine, texts_of_engine in texts.items():
        for (url, _, _), text in zip(pages, texts_of_engine, strict=True):
            kind = truth[url].get("page_type") or truth[url]["set"]
            score = f1(text, truth[url]["main_content"])
            by_type[engine]["all labelled pages"].append(score)
            by_type[engine][kind].append(score)
    for kind, scores in sorted(by_type["trafilatura"].items(), key=lambda item: -len(item[1])):
        number = len(scores)
        for engine in ENGINES:
            for peer in ("stock trafilatura", "datatrove"):
                what = f"extraction F1, {kind} ({number}), {engine} against {peer}"
                rows.add(what, fmean(by_type[engine][kind]), fmean(by_type[peer][kind]), "F1")


def _ours_extracts(settings: dict[str, str], pages: list[tuple[str, bytes, str | None]]) -> list[str]:
    stage = ExtractConfig.parse({"remove_urls": False, **settings}, "bench").build()
    return [row["text"] or "" for batch in _batches(pages) for row in stage(batch).to_pylist()]


def _batches(pages: list[tuple[str, bytes, str | None]]) -> Iterator[Batch]:
    for i in range(0, len(pages), 64):
        urls, payloads, charsets = zip(*pages[i : i + 64], strict=True)
        n = len(urls)
        columns: dict[str, Any] = {
            "id": pa.array([str(i + k) for k in range(n)]),
            "url": pa.array(urls),
            "date": pa.array([""] * n),
            "text": pa.nulls(n, pa.large_string()),
            "payload": pa.array(payloads, pa.large_binary()),
            "http_charset": pa.array(charsets, pa.string()),
        }
        yield pa.record_batch(columns)


def _stock(payload: bytes, url: str) -> str:
    import trafilatura

    return trafilatura.extract(payload, url=url, include_comments=False) or ""


def memory(rows: Rows, crawl: Path, folder: Path, pages: int) -> None:
    """Peak memory of a run of `pages` pages and of one of 1,000, with two workers."""
    recipe = _recipe(folder, "resiliparse")
    peaks = []
    for number in (1_000, pages):
        made = folder / f"crawl-{number}"
        _enlarge(crawl, made, number)
        out = folder / f"run-{number}"
        command = [GRISTMILL, "run", recipe, "--set", f"source.paths={made}", "--out", out, "--workers", "2"]
        peaks.append(peak_memory(command)[1] / 1e6)
    rows.add(f"peak memory with {pages:,} pages, against 1,000", peaks[1], peaks[0], "MB", less_is_better=True)


def _enlarge(crawl: Path, out: Path, number: int) -> None:
    """Write `number` records of the crawl to files of 250, repeated ones with new record ids and URLs."""
    out.mkdir()
    made = 0
    for file in cycle(_files(crawl)):
        for record in read_records(file, 0, _no_damage):
            if record.headers.get("warc-type") != "response":
                continue
            head = re.sub(rb"(WARC-Record-ID: <urn:uuid:).{8}", rb"\g<1>%08x" % made, record.head)
            head = re.sub(rb"(WARC-Target-URI: https?://)", rb"\g<1>copy%d." % (made // 3000), head)
            with (out / f"part-{made // 250:04d}.warc.gz").open("ab") as stream:
                stream.write(gzip.compress(head + b"\r\n\r\n" + record.content + b"\r\n\r\n", 1))
            made += 1
            if made == number:
                return


def _no_damage(offset: int, cause: str) -> None:
    sys.exit(f"offset {offset}: {cause}")


def _files(crawl: Path) -> list[InputFile]:
    return find_inputs((str(crawl),), (".warc.gz",), "--files")


if __name__ == "__main__":
    main()
