"""Does a run hold what its manifests say? Files, checksums, rows, and that every document is counted once.

    run.json: inputs ──▶ a whole chain of manifests for each ──▶ shard and ledger: bytes, then rows ──▶ report.json

Nothing is taken on trust from the manifests alone: which units there must be follows from the inputs, and what they
count is counted again from the ledger.
"""

import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dedup.minhash import MinHashConfig
from pipelines.ledger.clusters import ABSENT, KEPT, Group, Groups, reasons_of_groups
from pipelines.lines import counted
from pipelines.recipe import parse_recipe
from pipelines.report.build import recipe_of, summary
from pipelines.run.extracted_texts import early_stages, texts_name
from pipelines.run.opening import is_done, read_made_of
from pipelines.verbs.remove import unfinished
from shards.errors import GristmillError, UserError
from shards.exchange import GlobalStageConfig
from shards.manifest import Chains, Manifest, WrittenFile, file_sha256, read_manifest
from shards.schema import COPIES
from shards.sink import open_arrow, read_batches, read_table
from shards.stats import Stats

_MISSING_SHOWN = 20
_AGAIN = "run the same command again with the inputs at hand"


def verify_run(folder: Path) -> tuple[int, list[str]]:
    """(units checked, what is wrong, a line each)."""
    made_of = read_made_of(folder)
    paths = sorted((folder / "shards").glob("*/*.json"))
    problems: list[str] = []
    if not is_done(folder):
        problems.append(f"{folder}: the run is not finished; run its command again to resume")
    if cut_short := unfinished(folder):
        problems.append(cut_short)
    manifests: dict[Path, Manifest] = {}
    for path in paths:
        try:
            manifests[path] = read_manifest(path)
            problems += _check_unit(folder, path, manifests[path], made_of["digest"])
        except GristmillError as error:
            problems.append(str(error))
    chains = Chains.of(made_of["input"], manifests.values())
    if is_done(folder):
        problems += _missing(folder, chains, paths)
        if not chains.missing:
            whole = not problems
            problems += _check_whole(folder)
            problems += _check_twins(folder) if whole else ()  # of ledgers that are what was written
    problems += _strays(folder, chains, paths, manifests)
    return len(paths), problems


def lines(folder: Path, num_units: int, problems: Sequence[str]) -> Iterator[str]:
    """The problems; without any, a line that says what was checked."""
    yield from problems
    if not problems:
        yield f"{folder}: {counted(num_units, 'unit')} whole: files, checksums, rows and counts agree"


def _remedy(folder: Path, path: Path) -> str:
    report = folder / "report.json"
    return f"delete {path}{f' and {report}' if report.exists() else ''}, and {_AGAIN}"


def _check_unit(folder: Path, path: Path, manifest: Manifest, digest: str) -> Iterator[str]:
    if (path.parent.name, path.stem) != (manifest.source, manifest.key):
        yield f"{path}: is the manifest of {manifest.source}/{manifest.key}; {_remedy(folder, path)}"
        return
    if manifest.fingerprint != digest:
        yield f"{path}: belongs to another run; {_remedy(folder, path)}"
    if set(manifest.files) != _files(manifest):
        yield f"{path}: does not name its shard, its ledger and its texts; {_remedy(folder, path)}"
        return
    problems = [
        problem for name, written in manifest.files.items() for problem in _check_file(folder, path, name, written)
    ]
    yield from problems
    yield from _check_stats(folder, path, manifest)
    if not problems:
        yield from _check_rows(folder, path, manifest)


def _files(manifest: Manifest) -> set[str]:
    files = {f"shards/{manifest.source}/{manifest.key}.arrow", f"ledger/{manifest.key}.arrow"}
    return files | {texts_name(manifest.key)} if _keeps_texts(manifest.recipe) else files


@cache
def _keeps_texts(recipe: str) -> bool:
    """Whether units of this recipe have texts. It is the manifest's own: the folder's may be lost."""
    try:
        resolved = parse_recipe(tomllib.loads(recipe), "the manifest's recipe")
    except (tomllib.TOMLDecodeError, UserError):
        return False
    return resolved.output.texts and bool(early_stages(resolved.passes()[0]))


def _check_file(folder: Path, path: Path, name: str, written: WrittenFile) -> Iterator[str]:
    file = folder / name
    try:
        if not file.exists():
            yield f"{file}: missing; {_remedy(folder, path)}"
        elif (size := file.stat().st_size) != written.num_bytes:
            yield f"{file}: has {size:,} bytes, its manifest says {written.num_bytes:,}; {_remedy(folder, path)}"
        elif file_sha256(file) != written.sha256:
            yield f"{file}: sha256 differs from its manifest: the file was changed; {_remedy(folder, path)}"
    except OSError as error:
        yield f"{file}: cannot be read: {error.strerror}; check its rights and the disk"


def _check_stats(folder: Path, path: Path, manifest: Manifest) -> Iterator[str]:
    stats = Stats.from_json(manifest.stats)
    given, kept, dropped = stats["documents/input"], stats["documents/kept"], sum(stats.below("dropped").values())
    if given != kept + dropped:
        yield (
            f"{path}: {given:,} documents in, but {kept:,} kept and {dropped:,} dropped: the manifest was changed; "
            f"{_remedy(folder, path)}"
        )


def _check_rows(folder: Path, path: Path, manifest: Manifest) -> Iterator[str]:
    """Of files that are what was written: their rows are as many and the same as the counts say."""
    ledger, shard = folder / "ledger" / f"{manifest.key}.arrow", path.with_suffix(".arrow")
    rows = read_table(ledger, ["id", "drop_reasons"])
    is_kept = pc.equal(pc.list_value_length(rows["drop_reasons"]), 0)
    given = manifest.stats.get("documents/input", 0)
    if rows.num_rows != given:
        yield f"{ledger}: {rows.num_rows:,} rows for {given:,} documents; {_remedy(folder, path)}"
    texts = folder / texts_name(manifest.key)
    if texts_name(manifest.key) in manifest.files and (found := open_arrow(texts).count_rows()) != given:
        yield f"{texts}: {found:,} rows for {given:,} documents; {_remedy(folder, path)}"
    if rows.filter(is_kept)["id"].to_pylist() != read_table(shard, ["id"])["id"].to_pylist():
        yield f"{shard}: its documents are not those that the ledger calls kept; {_remedy(folder, path)}"
    dropped = Stats.from_json(manifest.stats).below("dropped")
    counted = _first_reasons(rows.filter(pc.invert(is_kept))["drop_reasons"])
    for reason in sorted(r for r in {*dropped, *counted} if dropped.get(r, 0) != counted.get(r, 0)):
        yield (
            f"{path}: {dropped.get(reason, 0):,} documents dropped for {reason}, by the ledger "
            f"{counted.get(reason, 0):,}: the manifest was changed; {_remedy(folder, path)}"
        )


def _first_reasons(reasons: pa.ChunkedArray) -> dict[str, int]:
    return dict(Counter(pc.list_element(reasons, 0).to_pylist()))


def _missing(folder: Path, chains: Chains, paths: Sequence[Path]) -> Iterator[str]:
    """Units that a finished run must have and has not; where a manifest is broken, that was said already."""
    gone = [u for u in chains.missing if folder / "shards" / u.source / f"{u.key}.json" not in paths]
    for unit in gone[:_MISSING_SHOWN]:
        yield (
            f"{folder}/shards/{unit.source}/{unit.key}.json: missing (a unit of the input {unit.file}); "
            f"delete {folder}/report.json, and {_AGAIN}"
        )
    if len(gone) > _MISSING_SHOWN:
        yield f"{folder}/shards: {len(gone) - _MISSING_SHOWN:,} more inputs have missing units; the remedy is the same"


def _check_whole(folder: Path) -> Iterator[str]:
    """What a run has once: texts of dropped documents, what global stages left, and a report that is the sum."""
    try:
        recipe, wanted = recipe_of(folder), summary(folder)
    except GristmillError as error:
        yield str(error)
        return
    for name in ("edges.arrow", "alarms.json"):
        for _, stage in recipe.stages:
            if isinstance(stage, MinHashConfig):
                yield from _check_kept(folder, folder / "dedup" / stage.name / name)
    if recipe.output.dropped_per_rule != 0:
        yield from _check_kept(folder, folder / "dropped" / "texts.arrow")
    report = folder / "report.json"
    try:
        found: Any = json.loads(report.read_bytes())
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        yield f"{report}: not a report; `gristmill report {folder}` writes it anew"
    elif differing := [key for key, value in wanted.items() if found.get(key) != value]:
        yield f"{report}: {', '.join(differing)} differ from the manifests; `gristmill report {folder}` writes it anew"


def _check_twins(folder: Path) -> Iterator[str]:
    """Every twin is a document of the run, and as many left for each kept one as its `copies` say."""
    try:
        stages = [stage for _, stage in recipe_of(folder).stages if isinstance(stage, GlobalStageConfig)]
        groups = Groups(reasons_of_groups([stage.reason for stage in stages]))
        for path in sorted((folder / "ledger").glob("*.arrow")):
            for batch in read_batches(path, ["drop_reasons", "twin", "text_chars"]):
                groups.add(batch)
        groups.close(folder)
    except GristmillError as error:
        yield str(error)
        return
    if (folder / "removals.jsonl").exists() or any(getattr(stage, "index", None) is not None for stage in stages):
        return  # twins may be documents of other runs, or removed on request
    counts = all(COPIES in stage.columns() for stage in stages if stage.reason in groups.reasons)
    wrong = [problem for group in groups.all() for problem in _check_group(group, counts)]
    left = sum(group.size - 1 for group in groups.all() if group.fate == KEPT)
    if counts and not wrong and groups.total_copies not in (None, left):
        wrong = [f"kept documents have {groups.total_copies:,} copies, and {left:,} left for them"]
    for problem in wrong[:_MISSING_SHOWN]:
        yield f"{folder}/ledger: {problem}; the run is not what its recipe makes: redo it with --overwrite"
    if len(wrong) > _MISSING_SHOWN:
        yield f"{folder}/ledger: {len(wrong) - _MISSING_SHOWN:,} more groups are wrong; the remedy is the same"


def _check_group(group: Group, counts: bool) -> Iterator[str]:
    if group.fate == ABSENT:
        yield f"{group.size - 1:,} documents left for {group.id}, which is not there"
    elif counts and group.fate == KEPT and group.copies not in (None, group.size - 1):
        yield f"{group.id} has {group.copies:,} copies, and {group.size - 1:,} left for it"


def _check_kept(folder: Path, file: Path) -> Iterator[str]:
    """No manifest names it, so all that can be told is that it is there and can be read to its end."""
    cause = "" if file.exists() else "missing"
    try:
        if not cause and file.suffix == ".json":
            json.loads(file.read_bytes())
        elif not cause:
            for _ in read_batches(file):
                pass
    except (OSError, ValueError, GristmillError):
        cause = "cannot be read to its end"
    if cause:
        doomed = f"{folder}/report.json" if cause == "missing" else f"{file} and {folder}/report.json"
        yield f"{file}: {cause}; delete {doomed}, and {_AGAIN}"


def _strays(folder: Path, chains: Chains, paths: Sequence[Path], manifests: dict[Path, Manifest]) -> Iterator[str]:
    """Files of no unit. A file whose own manifest is missing or broken is none: it will be found whole or made anew."""
    gaps = {_chain(unit.key) for unit in chains.missing} | {_chain(p.stem) for p in paths if p not in manifests}
    for path, manifest in manifests.items():
        if manifest.key == path.stem and manifest.key not in chains.units and _chain(path.stem) not in gaps:
            yield f"{path}: belongs to no input of this run; delete it"
    expected = {folder / name for manifest in manifests.values() for name in (*manifest.files, *_files(manifest))}
    units = (file for name in ("ledger", "texts") for file in (folder / name).glob("*"))
    present = {*(folder / "shards").glob("*/*.arrow*"), *units}
    for path in sorted(present - expected):
        if _chain(path.name.partition(".")[0]) not in gaps:
            yield f"{path}: no manifest knows this file; delete it"


def _chain(key: str) -> str:
    return key.rpartition("-")[0]
