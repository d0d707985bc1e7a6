"""`gristmill remove`: take documents out of finished runs, by URL, by domain or by id.

    RUN/removing.jsonl    written first: what is removed; while it is there the removal is not finished
    RUN/shards, ledger, texts, dropped    rewritten without their texts; each unit's manifest last
    RUN/removals.jsonl    a line for each removed document: id, URL, request
    RUN/report.json, report.html          rewritten, and removing.jsonl is deleted

The ledger keeps the row: a document that was kept now has the drop reason `removed.request`, and one that was dropped
before keeps its own reason. Copies of a removed document stay removed: nobody compared them with others, and whoever
asks for a page to be removed means its copies too. The same command completes a removal that a kill has cut short.

A request also holds for what is later made of the run: `apply`, and a repair of the same folder, leave the documents
out again.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.assets.domain_lines import entries_of_line, host_of
from cleaners.assets.domains import Domains
from cleaners.assets.listfile import open_list
from dedup.index import remove_documents
from dedup.url_keys import hosts_of_keys, may_have_host, url_keys
from pipelines.numbers import counted
from pipelines.report.build import write_report, write_report_json
from pipelines.run.folder import RunFolder
from shards import mirror
from shards.errors import RunError, UserError
from shards.lock import locked
from shards.manifest import Manifest, WrittenFile, read_manifest, write_manifest
from shards.schema import TEXT
from shards.sink import ArrowSink, open_arrow, read_batches
from shards.stats import Stats
from shards.unit_key import UnitKey

REASON = "removed.request"


@dataclass(frozen=True)
class Requests:
    """What is to be removed.

    URLs are compared as `url_dedup` compares them; domains cover their subdomains, as in the `url` stage.
    """

    urls: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()  # each a list, by the references of `cleaners.assets.listfile`, or a domain itself
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.urls or self.domains or self.ids):
            raise UserError("nothing to remove: give --url, --domains or --id")
        for url in self.urls:
            if not host_of(url) or "*" in url:
                raise UserError(f"--url {url!r}: is no whole URL like https://host/path; to remove sites use --domains")
        for id_ in self.ids:
            if len(id_) != 32 or not set(id_) <= set("0123456789abcdef"):
                raise UserError(f"--id {id_}: expected 32 hex digits, as the ledger and `gristmill explain` have them")
        assert self._lists is not None  # a list that cannot be read is reported before anything is changed

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """For each row, of which `batch` has `id` and `url`, the request that removes it; null for rows that stay."""
        urls, requests = batch["url"], np.full(batch.num_rows, None, object)
        for name, covered in self._lists:
            hosts = [host_of(url or "") for url in urls.to_pylist()]
            requests[covered.cover(hosts)] = f"domains {name}"
        if self.urls:
            near = np.flatnonzero(may_have_host(urls, hosts_of_keys(self._keys)))
            hit = pc.fill_null(pc.is_in(url_keys(urls.take(pa.array(near))), value_set=self._keys), False)
            for row in near[hit.to_numpy(zero_copy_only=False)]:
                requests[row] = f"url {urls[int(row)].as_py()}"
        by_id = pc.is_in(batch["id"], value_set=pa.array(self.ids, pa.string()))
        requests[by_id.to_numpy(zero_copy_only=False)] = "id"
        return pa.array(requests, pa.string())

    @cached_property
    def _keys(self) -> pa.Array:
        return url_keys(pa.array(self.urls, pa.string()))

    @cached_property
    def _lists(self) -> tuple[tuple[str, Domains], ...]:
        return tuple((name, _domains(name)) for name in self.domains)


def listed_ids(options: Sequence[str]) -> tuple[str, ...]:
    """The ids that are given, or that stand one a line in files which are given. UserError for a file that fails."""
    ids: list[str] = []
    for option in options:
        if not Path(option).is_file():
            ids.append(option)
            continue
        try:
            ids += Path(option).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--id {option}: cannot be read: {error}") from None
    return tuple(ids)


def _domains(name: str) -> Domains:
    """A domain, or a list of them in the formats of `cleaners.assets.domain_lines`."""
    if not Path(name).exists() and "." in name and not set("/!:") & set(name):
        return Domains(io.BytesIO("\n".join(_sites(name, f"--domains {name}")).encode()))
    with open_list(name) as stream:
        try:
            lines = stream.read().decode().splitlines()
        except UnicodeDecodeError as error:
            raise UserError(f"{name}: the list is not UTF-8 text: {error}") from None
    hosts = [host for number, line in enumerate(lines, 1) for host in _sites(line, f"{name}:{number}")]
    return Domains(io.BytesIO("\n".join(hosts).encode()))


def _sites(line: str, where: str) -> list[str]:
    """The domains that a line names, without "www.": whoever writes it means the whole site."""
    entries = entries_of_line(line)
    if entries is None or any(path or "." not in host for host, path in entries):
        raise UserError(
            f"{where}: {line.strip()!r} is no domain, and nothing was removed; to remove pages use --url, once for each"
        )
    return [host.removeprefix("www.") for host, _ in entries]


@dataclass
class Removed:
    run: Path
    num_documents: int = 0  # whose text was there
    num_kept: int = 0  # of them, those that were in the shards
    shards: list[Path] = field(default_factory=list)  # that have changed: to be tokenized anew


def remove_from_index(index: Path, requests: Requests) -> int:
    """Remove documents from an index, so that later dumps are not compared with them. Returns their number."""
    if not index.is_dir():
        raise UserError(f"{index}: no index; `gristmill index add {index} RUN` makes one of a finished run")
    with locked(index, elsewhere="index"):
        return remove_documents(index, lambda batch: requests.of(batch).is_valid().to_numpy(zero_copy_only=False))


def require_whole(run: RunFolder) -> None:
    """UserError where there is no run, where it is not finished, or where a removal from it is not."""
    run.require_done()
    if problem := unfinished(run):
        raise UserError(problem)
    run.require_units()


def unfinished(run: RunFolder) -> str | None:
    """A line about a removal that was cut short; None where there is none."""
    if not run.has(RunFolder.REMOVING):
        return None
    return f"{run}: a removal was cut short; run its `gristmill remove` again, or any other, which completes it first"


def remove_from_run(path: Path, requests: Requests) -> Removed:
    run = RunFolder(path)
    run.made_of()
    if not run.is_done() and not run.has(RunFolder.REMOVING):
        raise UserError(f"{run}: {run.not_finished()}, then remove")
    run.require_units()
    with locked(run.root, elsewhere="run"):
        rows = _read_lines(run, RunFolder.REMOVING)
        known = {row["id"] for row in rows}
        rows += [row for row in _requested(run, requests) if row["id"] not in known]
        if not rows:
            return Removed(run.root)
        run.write(RunFolder.REMOVING, _lines(rows))
        removed = _remove(run, rows)
        write_report_json(run.root)
        if run.has(RunFolder.REPORT_PAGE):  # it shows samples of texts
            write_report(run.root)
        run.sync()
        run.delete(RunFolder.REMOVING)
    return removed


def lines(removed: Removed) -> Iterator[str]:
    """How many documents were removed, which shards this changed, and what to do about them."""
    yield (
        f"{removed.run}: {counted(removed.num_documents, 'document')} removed, "
        f"{removed.num_kept:,} of them from its shards"
    )
    for shard in removed.shards:
        yield f"changed: {shard}"
    if removed.shards:
        yield "token shards made of these still hold the documents: `gristmill tokenize` makes them anew"


def carry_over(runs: Sequence[RunFolder], run: RunFolder) -> bool:
    """Leave out of `run`, which nobody has read yet, what was removed from `runs`; returns whether anything was."""
    rows = {row["id"]: row for one in runs for row in _read_lines(one, RunFolder.REMOVALS)}
    if rows:
        _remove(run, list(rows.values()))
    return bool(rows)


def _requested(run: RunFolder, requests: Requests) -> Iterator[dict[str, Any]]:
    """The requested rows whose text is still there."""
    done = {row["id"] for row in _read_lines(run, RunFolder.REMOVALS)}
    for key in run.ledgers():
        for batch in read_batches(run.path(run.ledger(key)), ["id", "url"]):
            request = requests.of(batch)
            for row in np.flatnonzero(request.is_valid().to_numpy(zero_copy_only=False)).tolist():
                if (id_ := batch["id"][row].as_py()) not in done:
                    yield {"id": id_, "url": batch["url"][row].as_py(), "request": request[row].as_py()}


def _remove(run: RunFolder, rows: list[dict[str, Any]]) -> Removed:
    """Rewrite units, samples and log. Doing it twice changes nothing more, so it may begin again after a kill."""
    ids = pa.array([row["id"] for row in rows], pa.string())
    removed = Removed(run.root)
    for key in run.units():
        manifest = read_manifest(run.path(run.manifest(key)))
        ledger = read_batches(run.path(run.ledger(key)), ["id"])
        named = sum(pc.sum(pc.is_in(batch["id"], value_set=ids)).as_py() or 0 for batch in ledger)
        if named:
            before = manifest.stats.get("documents/kept", 0)
            after = _rewrite_unit(run, key, manifest, ids)
            removed.num_documents += named
            removed.num_kept += before - after
            if before != after:
                removed.shards.append(run.path(run.shard(key)))
    if run.has(RunFolder.DROPPED_TEXTS):
        _rewrite(
            run.path(RunFolder.DROPPED_TEXTS),
            lambda batch: batch.filter(pc.invert(pc.is_in(batch["id"], value_set=ids))),
        )
    logged = {line["id"]: line for line in _read_lines(run, RunFolder.REMOVALS)} | {row["id"]: row for row in rows}
    run.write(RunFolder.REMOVALS, _lines(list(logged.values())))
    return removed


def _rewrite_unit(run: RunFolder, key: UnitKey, manifest: Manifest, ids: pa.Array) -> int:
    """Write the files of a unit without the texts of `ids`, then its manifest. Returns how many documents it keeps."""
    kept = requested = 0

    def named(batch: pa.RecordBatch) -> pa.Array:
        return pc.is_in(batch["id"], value_set=ids)

    def with_reason(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal kept, requested
        lists = batch["drop_reasons"]
        newly = pc.and_(named(batch), pc.equal(pc.list_value_length(lists), 0)).to_numpy(zero_copy_only=False)
        reasons = lists.to_pylist()
        for row in np.flatnonzero(newly):
            reasons[row] = [REASON]
        kept += reasons.count([])
        requested += reasons.count([REASON])
        column = batch.schema.get_field_index("drop_reasons")
        return batch.set_column(column, "drop_reasons", pa.array(reasons, lists.type)) if newly.any() else batch

    shard, ledger, texts = run.shard(key), run.ledger(key), run.texts(key)
    files = dict(manifest.files)
    if texts in files:
        rows = pa.chunked_array([pa.array([], pa.bool_()), *(named(b) for b in read_batches(run.path(ledger), ["id"]))])
        is_removed, first = rows.to_numpy(), 0

        def without_text(batch: pa.RecordBatch) -> pa.RecordBatch:
            nonlocal first
            mask = pa.array(is_removed[first : first + batch.num_rows])
            first += batch.num_rows
            for name in ("given", "text"):  # a null stays one: it says that the row had no text to remove
                emptied = pc.if_else(pc.and_(mask, batch[name].is_valid()), pa.scalar("", TEXT.type), batch[name])
                batch = batch.set_column(batch.schema.get_field_index(name), name, emptied)
            return batch

        files[texts] = _rewrite(run.path(texts), without_text)
    files[shard] = _rewrite(run.path(shard), lambda batch: batch.filter(pc.invert(named(batch))))
    files[ledger] = _rewrite(run.path(ledger), with_reason)
    counts = {"documents/kept": kept, f"dropped/{REASON}": requested, f"failed/{REASON}": requested}
    changed = replace(manifest, files=files, stats=Stats(manifest.stats | counts).to_json())
    write_manifest(run.path(run.manifest(key)), changed)
    return kept


def _rewrite(path: Path, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> WrittenFile:
    """The file at `path` with each batch changed."""
    with ArrowSink(path, open_arrow(path).schema) as sink:
        for batch in read_batches(path):
            sink.write(change(batch))
    return WrittenFile.of(sink)


def _read_lines(run: RunFolder, name: str) -> list[dict[str, Any]]:
    path = run.path(name)
    if not mirror.exists(path):
        return []
    try:
        rows = [json.loads(line) for line in mirror.read_bytes(path).splitlines()]
        return [{name: row[name] for name in ("id", "url", "request")} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not what was written ({error}); delete its broken line and run again") from None


def _lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
