"""`gristmill index`: add the documents of a finished run to an index, and look up similar texts in it.

    RUN/shards ──sign──▶ INDEX/<run>-<digest>/          texts ──sign──▶ keys and bands, compared with all parts

The index signs texts as they are in the shards. Where a stage of the recipe edits texts after a dedup stage, the next
dump reaches that stage unedited, and equal texts are found by `minhash` only.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from dedup.equal_keys import KEYED, fingerprint_block
from dedup.exact import ExactConfig
from dedup.files.documents import UnitFiles, format_ids, load_npy, save_npy, unit_path
from dedup.files.verdicts import NOT_HERE
from dedup.index import (
    CODE,
    ENTRIES,
    SETTINGS,
    IndexPart,
    differences,
    earlier_files,
    name_documents,
    read_parts,
    require_normal_form,
    settings_of,
    write_part,
)
from dedup.keep import EARLIER, KeepBy
from dedup.lsh.edge_runs import EdgeRuns
from dedup.lsh.edges import Comparison, collect, edge_tasks, find_edges
from dedup.lsh.signing import SignedFiles, Signing, Verify, sign, sign_by_prefix
from dedup.url_dedup import UrlDedupConfig
from pipelines.executors import Executor, Job
from pipelines.numbers import counted
from pipelines.recipe import Recipe, load_recipe
from pipelines.run.folder import RunFolder
from pipelines.tuning.inputs import read_texts
from pipelines.verbs.remove import require_whole
from shards.errors import UserError
from shards.exchange import Block
from shards.lock import locked
from shards.schema import PROVENANCE, TEXT
from shards.sink import ArrowSink, read_batches

_FIRST = KeepBy("first")
_QUERY_ROWS = 10_000
_QUERY_BYTES = 64 << 20


@dataclass(frozen=True)
class Added:
    folder: Path
    num_documents: int
    was_there: bool
    warnings: tuple[str, ...]


def add(index: Path, run: Path, executor: Executor, recipe: str | None = None) -> Added:
    """Sign the kept documents of a finished run by the settings of its own dedup stages, or those of `recipe`."""
    folder = RunFolder(run)
    require_whole(folder)
    made_of = load_recipe(recipe if recipe is not None else str(folder.path(RunFolder.RECIPE)))
    settings = _settings(made_of)
    name, fingerprint = run.resolve().name, folder.made_of().digest
    with locked(index, elsewhere="index") as lease, executor:
        executor.begin(Job(index, lease.owner.token))
        parts = read_parts(index) if any(index.glob("*/index.json")) else {}
        for path, part in parts.items():
            require_normal_form(index, {path: part}, part.settings)
            if part.fingerprint == fingerprint:
                return Added(path, part.num_documents, True, ())
            if differing := differences(part.settings, settings):
                raise UserError(
                    f"{index}: was made with other settings: {differing}; give a recipe with these by --recipe, or "
                    "make another index"
                )
        # Other settings would go on from another's unfinished files.
        made_by = hashlib.sha256(json.dumps([fingerprint, settings], sort_keys=True).encode()).hexdigest()
        part_folder = index / f"{name}-{made_by[:12]}"
        units = _shards(folder)
        task = partial(_sign_shard, folder=part_folder, run=name, settings=settings)
        num_documents = sum(executor.map(task, units))
        part = IndexPart(name, fingerprint, num_documents, settings, [unit.key for unit in units], {})
        write_part(part_folder, part)
    return Added(part_folder, num_documents, False, tuple(_edited(made_of)))


def lines(index: Path, run: Path, added: Added) -> Iterator[str]:
    """What `add` did, after its warnings."""
    for warning in added.warnings:
        yield f"note: {warning}"
    if added.was_there:
        yield f"{index}: {run} is there already, as {added.folder.name}; nothing was changed"
    else:
        yield f"{index}: added {counted(added.num_documents, 'document')} of {run}"


def _settings(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """By kind, the settings of the stages whose documents an index can hold."""
    found: dict[str, dict[str, Any]] = {}
    for kind, stage in recipe.stages:
        if kind not in SETTINGS:
            continue
        settings = settings_of(stage, kind)
        if differing := differences({kind: found.setdefault(kind, settings)}, {kind: settings}):
            raise UserError(
                f"{recipe.name}: has two stages of one kind with other settings: {differing}, and an index holds one; "
                "give a recipe with one by --recipe"
            )
    if not found:
        raise UserError(
            f"{recipe.name}: has no stage of kind {', '.join(SETTINGS)}; give a recipe with one by --recipe"
        )
    return found


def _edited(recipe: Recipe) -> Iterator[str]:
    for number, (kind, stage) in enumerate(recipe.stages):
        editing = [later.name for _, later in recipe.stages[number + 1 :] if later.edits]
        if kind == "exact" and editing:
            names = ", ".join(editing)
            yield f"{names} edits texts after {stage.name}: texts that it changed are not found as equal ones"


def _shards(run: RunFolder) -> list[Block]:
    """The shards of a run as units."""
    return [Block(i, str(key), (run.path(run.shard(key)),)) for i, key in enumerate(run.units())]


def _sign_shard(unit: Block, *, folder: Path, run: str, settings: dict[str, dict[str, Any]]) -> int:
    """Make the files of a shard, unless a killed attempt has made them. Returns the number of its documents."""
    target, entries = folder / "documents" / f"{unit.key}.arrow", ["id", "url", "date", "source"]
    if not target.exists():
        for kind, of_kind in settings.items():
            _sign(unit, folder / kind, kind, of_kind, sign)
            path = unit_path(folder / kind, unit.key, "documents")
            documents = np.array(load_npy(path))
            documents["address"], documents["order"] = NOT_HERE, EARLIER
            if "copies" in (documents.dtype.names or ()):  # this run counted them, and the next one does not
                documents["copies"] = 0
            save_npy(path, documents)
        with ArrowSink(target, ENTRIES) as sink:
            for batch in read_batches(unit.texts[0], entries):
                named = [pa.array([word] * batch.num_rows, pa.string()) for word in (run, unit.key)]
                sink.write(pa.RecordBatch.from_arrays([*batch.columns, *named], schema=ENTRIES))
    return sum(batch.num_rows for batch in read_batches(target, ["id"]))


def _sign(unit: Block, folder: Path, kind: str, settings: dict[str, Any], write_signed: Callable[..., None]) -> None:
    """The files that a stage of `kind` with these `settings` compares; `write_signed` makes those of minhash."""
    settings = {name: value for name, value in settings.items() if name not in CODE}
    if kind == "minhash":
        write_signed(unit, folder=folder, signing=Signing(**settings, keep=_FIRST))
        return
    stage = (ExactConfig if kind == "exact" else UrlDedupConfig).parse({"name": kind} | settings, kind)
    column = "text" if kind == "exact" else "url"
    fingerprint_block(unit, folder=folder, column=column, fingerprint=stage.fingerprint, keep=_FIRST)


@dataclass(frozen=True)
class Match:
    asked: str  # URL or id of the document that was asked about, or the beginning of its text
    kind: str | None = None  # "exact", "url" or "near"; None: nothing in the index is similar
    similarity: float | None = None  # None also where an index has verify = "none"
    id: str | None = None
    url: str | None = None
    run: str | None = None


def query(
    index: Path, inputs: Sequence[str], urls: Sequence[str], executor: Executor, threshold: float
) -> Iterator[Match]:
    """The best match of each document of the files `inputs`, and of each of `urls`, in their order.

    Equal texts come before equal URLs, and these before near-duplicates, of which the most similar is named.
    """
    first = next(iter(read_parts(index).values()))
    for rows in _questions(inputs, urls):
        with tempfile.TemporaryDirectory(prefix="gristmill-query-") as work:
            unit = Block(0, "query-00000-000", (Path(work) / "query.arrow",))
            with ArrowSink(unit.texts[0], pa.schema([*PROVENANCE, TEXT])) as sink:
                sink.write(pa.RecordBatch.from_pylist([row for _, row in rows], schema=sink.schema))
            found: dict[int, tuple[str, float | None, str]] = {}  # by row; what was found first stays
            for kind in [kind for kind in ("exact", "url_dedup", "minhash") if kind in first.settings]:
                settings, folder = first.settings[kind], Path(work) / kind
                earlier = earlier_files(index, kind, settings)
                _sign(unit, folder, kind, settings, sign_by_prefix)
                if kind == "minhash":
                    signed = SignedFiles.open(folder, [unit], settings["bands"], earlier)
                    for row, similarity, id_ in _near(signed, folder, settings["verify"], executor, threshold):
                        found.setdefault(row, ("near", similarity, id_))
                else:
                    asked = load_npy(unit_path(folder, unit.key, "documents"), KEYED)
                    for row, id_ in _equal(asked, earlier):
                        found.setdefault(row, ("url" if kind == "url_dedup" else kind, 1.0, id_))
            ids = pa.array(sorted({id_ for _, _, id_ in found.values()}), pa.string())
            named = {row["id"]: row for row in name_documents(index, ids).to_pylist()}
            for number, (name, _) in enumerate(rows):
                if number in found:
                    label, similarity, id_ = found[number]
                    yield Match(name, label, similarity, **named[id_])
                else:
                    yield Match(name)


def line(match: Match) -> str:
    """One answer of `query`."""
    if match.kind is None:
        return f"{match.asked}: nothing like it"
    similarity = "" if match.similarity is None else f" {match.similarity:.3f}"
    return f"{match.asked}: {match.kind}{similarity}, {match.id} {match.url} of {match.run}"


def _questions(inputs: Sequence[str], urls: Sequence[str]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """(name, row) of each document, some thousands at a time."""
    pending: list[tuple[str, dict[str, Any]]] = []
    num_bytes = 0
    for row in _asked(inputs, urls):
        text, url = row["text"] or "", row["url"] or ""
        pending.append((url or " ".join(text[:200].split())[:60] or row["id"], row))
        num_bytes += len(text)
        if len(pending) == _QUERY_ROWS or num_bytes > _QUERY_BYTES:
            yield pending
            pending, num_bytes = [], 0
    if pending:
        yield pending


def _asked(inputs: Sequence[str], urls: Sequence[str]) -> Iterator[dict[str, Any]]:
    batches: Iterable[pa.RecordBatch] = read_texts(inputs, "index query") if inputs else ()
    for batch in batches:
        yield from batch.select(["id", "url", "text"]).to_pylist()
    for url in urls:
        yield {"id": xxhash.xxh3_128_hexdigest(url.encode()), "url": url, "text": None}


def _equal(asked: np.ndarray, earlier: UnitFiles) -> Iterator[tuple[int, str]]:
    """(row, id of the earlier document of the same key, of several the smallest) of the KEYED `asked`."""
    wanted = np.unique(asked["key"][:, 0])
    ids: dict[bytes, str] = {}
    for documents in earlier.each("documents"):
        if not len(wanted):
            break
        upper = documents["key"][:, 0]
        place = np.minimum(np.searchsorted(wanted, upper), len(wanted) - 1)
        candidates = documents[wanted[place] == upper]
        for key, id_ in zip(candidates["key"], format_ids(candidates["id"]).to_pylist(), strict=True):
            ids[key.tobytes()] = min(id_, ids.get(key.tobytes(), id_))
    for document in asked:
        if (id_ := ids.get(document["key"].tobytes())) is not None:
            yield int(document["address"]), id_


def _near(
    signed: SignedFiles, folder: Path, verify: Verify, executor: Executor, threshold: float
) -> Iterator[tuple[int, float | None, str]]:
    """(row, similarity, id) of verified pairs, the most similar of a row first."""
    tasks = edge_tasks(signed.bands, len(signed), executor.task_memory)
    comparison = Comparison(signed, verify, threshold, executor.task_memory)
    for _ in executor.map(partial(find_edges, comparison=comparison, folder=folder / "edges"), tasks):
        pass
    pairs = []
    for edges in EdgeRuns(collect(folder / "edges", tasks)[0]).parts(executor.task_memory // 400):
        edges = edges[(edges["first"] < signed.num_earlier) & (edges["second"] >= signed.num_earlier)]
        kept, place = np.unique(edges["first"], return_inverse=True)
        ids = format_ids(signed.documents(kept)["id"]).take(pa.array(place)).to_pylist()
        others, place = np.unique(edges["second"], return_inverse=True)
        rows = signed.documents(others)["address"][place].tolist()
        known = [None if np.isnan(s) else s for s in edges["similarity"].tolist()]
        pairs += list(zip(rows, known, ids, strict=True))
    yield from sorted(pairs, key=lambda pair: (pair[0], -(pair[1] or 0.0), pair[2]))
