"""Does a run hold what its manifests say? Files, checksums, rows, and that every document is counted once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc

from pipelines.report import summary
from shards.errors import GristmillError, UserError
from shards.manifest import Manifest, WrittenFile, file_sha256, read_manifest
from shards.sink import open_arrow
from shards.stats import Stats


def verify_run(folder: Path) -> tuple[int, list[str]]:
    """(units checked, what is wrong, a line each)."""
    if not (folder / "run.json").exists():
        raise UserError(f"{folder}: no run of gristmill (it has no run.json)")
    paths = sorted((folder / "shards").glob("*/*.json"))
    problems: list[str] = []
    if not (folder / "report.json").exists():
        problems.append(f"{folder}: the run is not finished; run its command again to resume")
    digest = json.loads((folder / "run.json").read_bytes())["digest"]
    expected: set[Path] = set()
    for path in paths:
        try:
            manifest = read_manifest(path)
            expected |= {folder / name for name in manifest.files}
            problems += _check_unit(folder, path, manifest, digest)
        except GristmillError as error:
            problems.append(str(error))
    problems += _check_whole(folder, paths)
    present = {*(folder / "shards").glob("*/*.arrow*"), *(folder / "ledger").glob("*")}
    problems += [f"{p}: no manifest knows this file; delete it" for p in sorted(present - expected)]
    return len(paths), problems


def _check_unit(folder: Path, path: Path, manifest: Manifest, digest: str) -> Iterator[str]:
    if manifest.fingerprint != digest:
        yield f"{path}: belongs to another run; delete it and run again"
    yield from _check_stats(path, manifest)
    problems = [
        problem for name, written in manifest.files.items() for problem in _check_file(folder, path, name, written)
    ]
    yield from problems or _check_rows(folder, path, manifest)


def _check_file(folder: Path, path: Path, name: str, written: WrittenFile) -> Iterator[str]:
    file = folder / name
    if not file.exists():
        yield f"{file}: missing; delete {path} and report.json, and run again with the inputs at hand"
    elif file.stat().st_size != written.num_bytes:
        yield f"{file}: has {file.stat().st_size:,} bytes, its manifest says {written.num_bytes:,}"
    elif file_sha256(file) != written.sha256:
        yield f"{file}: sha256 differs from its manifest: the file was changed"


def _check_stats(path: Path, manifest: Manifest) -> Iterator[str]:
    stats = Stats.from_json(manifest.stats)
    given, kept, dropped = stats["documents/input"], stats["documents/kept"], sum(stats.below("dropped").values())
    if given != kept + dropped:
        yield f"{path}: {given:,} documents in, but {kept:,} kept and {dropped:,} dropped"


def _check_rows(folder: Path, path: Path, manifest: Manifest) -> Iterator[str]:
    """Of files that are what was written: their rows are as many and the same as the counts say."""
    ledger, shard = folder / "ledger" / f"{manifest.key}.arrow", path.with_suffix(".arrow")
    rows = open_arrow(ledger, ["id", "drop_reasons"]).read_all()
    kept = rows.filter(pc.equal(pc.list_value_length(rows["drop_reasons"]), 0))
    given = manifest.stats.get("documents/input", 0)
    if rows.num_rows != given:
        yield f"{ledger}: {rows.num_rows:,} rows for {given:,} documents"
    if kept["id"].to_pylist() != open_arrow(shard, ["id"]).read_all()["id"].to_pylist():
        yield f"{shard}: its documents are not those that the ledger calls kept"


def _check_whole(folder: Path, paths: list[Path]) -> Iterator[str]:
    """The chain of units of each input file has no gap, and report.json is the sum of the manifests."""
    starts: dict[tuple[str, str], set[int]] = {}
    nexts: dict[tuple[str, str], set[int]] = {}
    for path in paths:
        try:
            manifest = read_manifest(path)
        except GristmillError:
            continue  # said already
        chain = (manifest.source, manifest.key.rsplit("-", 1)[0])
        starts.setdefault(chain, set()).add(manifest.start)
        nexts.setdefault(chain, {0}).update([] if manifest.next_start is None else [manifest.next_start])
    for chain, wanted in sorted(nexts.items()):
        if missing := wanted - starts[chain]:
            yield f"{folder}/shards: {chain[1]}: the unit that begins at {min(missing):,} is missing; run again"
    report = folder / "report.json"
    if report.exists() and not any(not p.exists() for p in paths):
        try:
            found, wanted_summary = json.loads(report.read_bytes()), summary(folder)
        except (GristmillError, ValueError) as error:
            yield f"{report}: cannot be compared: {error}"
            return
        differing = [k for k, v in wanted_summary.items() if found.get(k) != v]
        if differing:
            yield f"{report}: {', '.join(differing)} differ from the manifests; `gristmill report` writes it anew"
