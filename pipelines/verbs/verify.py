"""`gristmill verify`: compare a run with its manifests, its inputs and itself.

    run.json: inputs ──▶ a whole chain of manifests for each ──▶ shard and ledger: bytes, then rows ──▶ report.json

Nothing is believed because a manifest says so: which units there must be follows from the inputs, and what manifests
count is counted again from the ledger.
"""

import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.batches import ledger_batches
from pipelines.ledger.clusters import ABSENT, Cluster, Clusters, cluster_reasons
from pipelines.numbers import counted
from pipelines.recipe import parse_recipe
from pipelines.report.build import summary_of_files
from pipelines.report.model import differing, read_report_file
from pipelines.run.extracted_texts import early_stages
from pipelines.run.folder import RunFolder
from pipelines.verbs.remove import unfinished
from shards import mirror
from shards.errors import RunError, UserError
from shards.limits import check_limits
from shards.manifest import Chains, Manifest, WrittenFile, file_sha256, read_manifest
from shards.schema import COPIES, KEPT
from shards.sink import open_arrow, read_batches, read_table
from shards.stats import Stats
from shards.unit_key import UnitKey

_MISSING_SHOWN = 20
_AGAIN = "run the same command again with the inputs at hand"


def verify_run(folder: Path) -> tuple[int, list[str]]:
    """(number of units checked, problems, a line each)."""
    run = RunFolder(folder)
    made_of = run.made_of()
    names = run.names(RunFolder.SHARDS, "*/*.json")
    problems: list[str] = []
    if not run.is_done():
        problems.append(f"{run}: {run.not_finished()}")
    if cut_short := unfinished(run):
        problems.append(cut_short)
    manifests: dict[str, Manifest] = {}
    for name, _ in zip(names, mirror.ahead(map(run.path, names)), strict=True):
        try:
            manifests[name] = read_manifest(run.path(name))
            problems += _check_unit(run, name, manifests[name], made_of.digest)
        except (UserError, RunError) as error:
            problems.append(str(error))
    chains = Chains.of(made_of.inputs, manifests.values())
    if run.is_done():
        problems += _missing(run, chains, names)
        if not chains.missing:
            whole = not problems
            problems += _check_whole(run)
            problems += _check_twins(run) if whole else ()  # of ledgers that are what was written
    problems += _strays(run, chains, names, manifests)
    return len(names), problems


def lines(folder: Path, num_units: int, problems: Sequence[str]) -> Iterator[str]:
    """The problems; without any, a line that says what was checked."""
    yield from problems
    if not problems:
        yield f"{folder}: {counted(num_units, 'unit')} whole: files, checksums, rows and counts agree"


def _remedy(run: RunFolder, name: str) -> str:
    report = f" and {run.path(RunFolder.REPORT)}" if run.is_done() else ""
    return f"delete {run.path(name)}{report}, and {_AGAIN}"


def _check_unit(run: RunFolder, name: str, manifest: Manifest, digest: str) -> Iterator[str]:
    """`name` is that of the manifest's own file."""
    path = run.path(name)
    if (path.parent.name, path.stem) != (manifest.source, manifest.key):
        yield f"{path}: is the manifest of {manifest.source}/{manifest.key}; {_remedy(run, name)}"
        return
    if manifest.fingerprint != digest:
        yield f"{path}: belongs to another run; {_remedy(run, name)}"
    if set(manifest.files) != _expected_files(manifest):
        yield f"{path}: does not name its shard, its ledger and its texts; {_remedy(run, name)}"
        return
    problems = [p for file, written in manifest.files.items() for p in _check_file(run, name, file, written)]
    yield from problems
    yield from _check_stats(run, name, manifest)
    if not problems:
        yield from _check_rows(run, name, manifest)


def _expected_files(manifest: Manifest) -> set[str]:
    try:
        key = UnitKey.parse(manifest.key)
    except ValueError:
        return set()  # no unit of a run
    files = {RunFolder.shard(key), RunFolder.ledger(key)}
    return files | {RunFolder.texts(key)} if _keeps_texts(manifest.recipe) else files


@cache
def _keeps_texts(recipe: str) -> bool:
    """Whether units of this recipe have texts. The recipe is the manifest's own, since the folder's may be lost."""
    try:
        resolved = parse_recipe(tomllib.loads(recipe), "the manifest's recipe")
    except (tomllib.TOMLDecodeError, UserError):
        return False
    return resolved.output.texts and bool(early_stages(resolved.passes()[0]))


def _check_file(run: RunFolder, name: str, file: str, written: WrittenFile) -> Iterator[str]:
    path = run.path(file)
    try:
        if not mirror.exists(path):
            yield f"{path}: missing; {_remedy(run, name)}"
        elif (size := path.stat().st_size) != written.num_bytes:
            yield f"{path}: has {size:,} bytes, its manifest says {written.num_bytes:,}; {_remedy(run, name)}"
        elif file_sha256(path) != written.sha256:
            yield f"{path}: sha256 differs from its manifest: the file was changed; {_remedy(run, name)}"
    except OSError as error:
        check_limits(path, error)
        yield f"{path}: cannot be read: {error.strerror}; check its rights and the disk"


def _check_stats(run: RunFolder, name: str, manifest: Manifest) -> Iterator[str]:
    stats = Stats.from_json(manifest.stats)
    num_input, kept, dropped = stats["documents/input"], stats["documents/kept"], sum(stats.below("dropped").values())
    if num_input != kept + dropped:
        yield (
            f"{run.path(name)}: {num_input:,} documents in, but {kept:,} kept and {dropped:,} dropped: the manifest "
            f"was changed; {_remedy(run, name)}"
        )


def _check_rows(run: RunFolder, name: str, manifest: Manifest) -> Iterator[str]:
    """Compare the rows of a unit's files, which are what was written, with each other and with the counts."""
    key = UnitKey.parse(manifest.key)
    ledger, shard, texts = (run.path(file) for file in (run.ledger(key), run.shard(key), run.texts(key)))
    rows = read_table(ledger, ["id", "drop_reasons"])
    is_kept = pc.equal(pc.list_value_length(rows["drop_reasons"]), 0)
    expected = manifest.stats.get("documents/input", 0)
    if rows.num_rows != expected:
        yield f"{ledger}: {rows.num_rows:,} rows for {expected:,} documents; {_remedy(run, name)}"
    if run.texts(key) in manifest.files and (num_texts := open_arrow(texts).count_rows()) != expected:
        yield f"{texts}: {num_texts:,} rows for {expected:,} documents; {_remedy(run, name)}"
    if rows.filter(is_kept)["id"].to_pylist() != read_table(shard, ["id"])["id"].to_pylist():
        yield f"{shard}: its documents are not those that the ledger calls kept; {_remedy(run, name)}"
    dropped = Stats.from_json(manifest.stats).below("dropped")
    counted = _first_reasons(rows.filter(pc.invert(is_kept))["drop_reasons"])
    for reason in sorted(r for r in {*dropped, *counted} if dropped.get(r, 0) != counted.get(r, 0)):
        yield (
            f"{run.path(name)}: {dropped.get(reason, 0):,} documents dropped for {reason}, by the ledger "
            f"{counted.get(reason, 0):,}: the manifest was changed; {_remedy(run, name)}"
        )


def _first_reasons(reasons: pa.ChunkedArray) -> dict[str, int]:
    return dict(Counter(pc.list_element(reasons, 0).to_pylist()))


def _missing(run: RunFolder, chains: Chains, names: Sequence[str]) -> Iterator[str]:
    """Units that a finished run must have and lacks; where a manifest is broken, that was reported already."""
    missing = [u for u in chains.missing if RunFolder.manifest(UnitKey.parse(u.key)) not in names]
    for unit in missing[:_MISSING_SHOWN]:
        yield (
            f"{run.path(RunFolder.manifest(UnitKey.parse(unit.key)))}: missing (a unit of the input {unit.file}); "
            f"delete {run.path(RunFolder.REPORT)}, and {_AGAIN}"
        )
    if len(missing) > _MISSING_SHOWN:
        more = len(missing) - _MISSING_SHOWN
        yield f"{run.path(RunFolder.SHARDS)}: {more:,} more inputs have missing units; the remedy is the same"


def _check_whole(run: RunFolder) -> Iterator[str]:
    """Check what a run has once: texts of dropped documents, files of global stages, and a report that is the sum."""
    try:
        recipe, expected = run.recipe(), summary_of_files(run.root)
    except (UserError, RunError) as error:
        yield str(error)
        return
    for stage in recipe.global_stages():
        for name in stage.report_files:
            yield from _check_readable(run, run.dedup(stage.name, name))
    if recipe.output.dropped_per_rule != 0:
        yield from _check_readable(run, RunFolder.DROPPED_TEXTS)
    try:
        keys = differing(expected, read_report_file(run))
    except (UserError, RunError) as error:
        yield str(error)
        return
    if keys:
        path = run.path(RunFolder.REPORT)
        yield f"{path}: {', '.join(keys)} differ from the manifests; `gristmill report {run}` writes it anew"


def _check_twins(run: RunFolder) -> Iterator[str]:
    """Every twin is a document of the run, and `copies` of each kept document counts what was removed for it."""
    try:
        recipe = run.recipe()
        clusters = Clusters(cluster_reasons(recipe))
        for batch in ledger_batches(run, ["drop_reasons", "twin", "text_chars"]):
            clusters.add(batch.rows)
        clusters.close(run)
    except (UserError, RunError) as error:
        yield str(error)
        return
    stages = list(recipe.global_stages())
    if run.has(RunFolder.REMOVALS) or any(stage.index_folder is not None for stage in stages):
        return  # twins may be documents of other runs, or removed on request
    counts = all(COPIES in stage.columns() for stage in stages if stage.removes_copies)
    problems = [problem for cluster in clusters.all() for problem in _check_cluster(cluster, counts)]
    removed = sum(cluster.size - 1 for cluster in clusters.all() if cluster.fate == KEPT)
    if counts and not problems and clusters.total_copies not in (None, removed):
        problems = [
            f"kept documents have {clusters.total_copies:,} copies by their own count, and {removed:,} by the ledger"
        ]
    ledger = run.path(RunFolder.LEDGER)
    for problem in problems[:_MISSING_SHOWN]:
        yield f"{ledger}: {problem}; the run is not what its recipe makes: redo it with --overwrite"
    if len(problems) > _MISSING_SHOWN:
        yield f"{ledger}: {len(problems) - _MISSING_SHOWN:,} more clusters are wrong; the remedy is the same"


def _check_cluster(cluster: Cluster, counts: bool) -> Iterator[str]:
    removed = cluster.size - 1
    if cluster.fate == ABSENT:
        yield f"{counted(removed, 'document')} removed for {cluster.id}, which is not there"
    elif counts and cluster.fate == KEPT and cluster.copies not in (None, removed):
        yield f"{cluster.id} has {cluster.copies:,} copies by its own count, and {removed:,} by the ledger"


def _check_readable(run: RunFolder, name: str) -> Iterator[str]:
    """No manifest names the file, so it can only be checked that it is there and can be read to its end."""
    path = run.path(name)
    cause = "" if mirror.exists(path) else "missing"
    try:
        if not cause and path.suffix == ".json":
            json.loads(mirror.read_bytes(path))
        elif not cause:
            for _ in read_batches(path):
                pass
    except (OSError, ValueError, UserError, RunError) as error:
        check_limits(path, error)
        cause = "cannot be read to its end"
    if cause:
        report = run.path(RunFolder.REPORT)
        doomed = f"{report}" if cause == "missing" else f"{path} and {report}"
        yield f"{path}: {cause}; delete {doomed}, and {_AGAIN}"


def _strays(run: RunFolder, chains: Chains, names: Sequence[str], manifests: dict[str, Manifest]) -> Iterator[str]:
    """Files of no unit.

    A file whose own manifest is missing or broken is none of them: it will be found whole or made anew.
    """
    broken = (Path(name).stem for name in names if name not in manifests)
    gaps = {_chain(unit.key) for unit in chains.missing} | {_chain(key) for key in broken}
    for name, manifest in manifests.items():
        stem = Path(name).stem
        if manifest.key == stem and manifest.key not in chains.units and _chain(stem) not in gaps:
            yield f"{run.path(name)}: belongs to no input of this run; delete it"
    expected = {file for manifest in manifests.values() for file in (*manifest.files, *_expected_files(manifest))}
    present = {
        *run.names(RunFolder.SHARDS, "*/*.arrow*"),
        *run.names(RunFolder.LEDGER),
        *run.names(RunFolder.TEXTS),
    }
    for file in sorted(present - expected):
        if _chain(Path(file).name.partition(".")[0]) not in gaps:
            yield f"{run.path(file)}: no manifest knows this file; delete it"


def _chain(key: str) -> str:
    """The part of a unit's key that all units of one input share."""
    return key.rpartition("-")[0]
