"""Take documents out of finished runs: an address, a list of domains, an id.

    RUN/removing.jsonl     written first: what leaves; while it is there the removal is not finished
    RUN/shards, ledger, texts, dropped     without their text; each unit's manifest last
    RUN/removals.jsonl    a line for each document that left: id, URL, request
    RUN/report.json, report.html           anew, and removing.jsonl goes

The ledger keeps the row: a document that was kept now has the drop reason `removed.request`, one that was dropped
before keeps its own. Copies that had left for a removed document stay removed: nobody compared them with others, and
who asks for a page to go means its copies too. The same command completes what a kill has cut short.

A request holds for what is made of the run later: `apply` to it, and a repair of the same folder, leave the documents
out again.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.assets.domains import Domains, host_of
from cleaners.assets.listfile import open_list
from dedup.index import remove_documents
from pipelines.ledger.url_keys import hosts_of_keys, may_have_host, url_keys
from pipelines.lines import counted
from pipelines.report.build import write_report, write_report_json
from pipelines.run.extracted_texts import texts_name
from pipelines.run.opening import is_done, read_made_of, require_units
from shards.atomic import write_bytes
from shards.errors import RunError, UserError
from shards.lock import locked
from shards.manifest import Manifest, WrittenFile, read_manifest, write_manifest
from shards.schema import TEXT
from shards.sink import ArrowSink, open_arrow, read_batches
from shards.stats import Stats

REASON = "removed.request"
_HOSTS_LINE = re.compile(r"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+\S+$")  # of a hosts file
_DOMAIN = re.compile(r"[^\s/,:@*]+\.[^\s/,:@*]+$")
_JOURNAL, _LOG = "removing.jsonl", "removals.jsonl"


@dataclass(frozen=True)
class Requests:
    """What shall leave. URLs are compared as `url_dedup` does, domains cover their subdomains as in the `url` stage."""

    urls: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()  # each a list, by the references of `cleaners.assets.listfile`, or a domain itself
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.urls or self.domains or self.ids):
            raise UserError("nothing to remove: give --url, --domains or --id")
        for url in self.urls:
            if not host_of(url) or "*" in url:
                raise UserError(f"--url {url!r}: is no whole address like https://host/path; sites go by --domains")
        for id_ in self.ids:
            if len(id_) != 32 or not set(id_) <= set("0123456789abcdef"):
                raise UserError(f"--id {id_}: expected 32 hex digits, as the ledger and `gristmill explain` tell them")
        assert self._lists is not None  # a list that cannot be read is told before anything is changed

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """For each row with `id` and `url` the request that takes it out, null for those that stay."""
        urls, found = batch["url"], np.full(batch.num_rows, None, object)
        for name, covered in self._lists:
            hosts = [host_of(url or "") for url in urls.to_pylist()]
            found[covered.cover(hosts)] = f"domains {name}"
        if self.urls:
            near = np.flatnonzero(may_have_host(urls, hosts_of_keys(self._keys)))
            hit = pc.fill_null(pc.is_in(url_keys(urls.take(pa.array(near))), value_set=self._keys), False)
            for row in near[hit.to_numpy(zero_copy_only=False)]:
                found[row] = f"url {urls[int(row)].as_py()}"
        found[pc.is_in(batch["id"], value_set=pa.array(self.ids, pa.string())).to_numpy(zero_copy_only=False)] = "id"
        return pa.array(found, pa.string())

    @cached_property
    def _keys(self) -> pa.Array:
        return url_keys(pa.array(self.urls, pa.string()))

    @cached_property
    def _lists(self) -> tuple[tuple[str, Domains], ...]:
        return tuple((name, _domains(name)) for name in self.domains)


def _domains(name: str) -> Domains:
    """A domain, or a list of them as people write opt-outs: a line may be an address, "*.host", or of a hosts file."""
    if not Path(name).exists() and "." in name and not set("/!:") & set(name):
        return Domains(io.BytesIO(_domain(name, f"--domains {name}").encode()))
    with open_list(name) as stream:
        try:
            lines = stream.read().decode().splitlines()
        except UnicodeDecodeError as error:
            raise UserError(f"{name}: the list is not UTF-8 text: {error}") from None
    told = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1))
    hosts = [_domain(line, f"{name}:{number}") for number, line in told if line]
    return Domains(io.BytesIO("\n".join(hosts).encode()))


def _domain(line: str, where: str) -> str:
    """The domain that a line means; "www" goes, since who says it means the site."""
    address = line.split()[-1] if _HOSTS_LINE.match(line) else line
    host = host_of(address if "://" in address else f"http://{address}")
    host = host.removeprefix("*.").removeprefix(".").removeprefix("www.")
    path = address.partition("://")[2] or address
    if not _DOMAIN.match(host) or path.partition("/")[2]:
        raise UserError(f"{where}: {line!r} is no domain, and nothing was removed; pages go by --url, one each")
    return host


@dataclass
class Removed:
    run: Path
    num_documents: int = 0  # whose text was there
    num_kept: int = 0  # of them, those that were in the shards
    shards: list[Path] = field(default_factory=list)  # that have changed: to be tokenized anew


def remove_from_index(index: Path, requests: Requests) -> int:
    """How many documents left the index; later dumps are no more compared with them."""
    if not index.is_dir():
        raise UserError(f"{index}: no index; `gristmill index add {index} RUN` makes one of a finished run")
    with locked(index, elsewhere="index"):
        return remove_documents(index, lambda batch: requests.of(batch).is_valid().to_numpy(zero_copy_only=False))


def require_whole(run: Path) -> None:
    """UserError where `run` is none or is not finished, or where a removal from it is not."""
    read_made_of(run)
    if not is_done(run):
        raise UserError(f"{run}: the run is not finished; run its command again to resume, then ask again")
    if problem := unfinished(run):
        raise UserError(problem)
    require_units(run)


def unfinished(run: Path) -> str | None:
    """What to say of a removal that was cut short."""
    if not (run / _JOURNAL).exists():
        return None
    return f"{run}: a removal was cut short; run its `gristmill remove` again, or any other, which completes it first"


def remove_from_run(run: Path, requests: Requests) -> Removed:
    read_made_of(run)
    if not is_done(run) and not (run / _JOURNAL).exists():
        raise UserError(f"{run}: the run is not finished; run its command again to resume, then remove")
    require_units(run)
    with locked(run, elsewhere="run"):
        rows = _read_lines(run / _JOURNAL)
        known = {row["id"] for row in rows}
        rows += [row for row in _find(run, requests) if row["id"] not in known]
        if not rows:
            return Removed(run)
        write_bytes(run / _JOURNAL, _lines(rows))
        removed = _remove(run, rows)
        write_report_json(run)
        if (run / "report.html").exists():  # it shows samples of texts
            write_report(run)
        (run / _JOURNAL).unlink()
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


def carry_over(runs: Sequence[Path], run: Path) -> None:
    """Leave out of `run`, which nobody has read yet, what was removed from `runs`."""
    rows = {row["id"]: row for one in runs for row in _read_lines(one / _LOG)}
    if rows:
        _remove(run, list(rows.values()))


def _find(run: Path, requests: Requests) -> Iterator[dict[str, Any]]:
    """The rows that are asked for and whose text is there still."""
    done = {row["id"] for row in _read_lines(run / _LOG)}
    for path in sorted((run / "ledger").glob("*.arrow")):
        for batch in read_batches(path, ["id", "url"]):
            found = requests.of(batch)
            for row in np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False)).tolist():
                if (id_ := batch["id"][row].as_py()) not in done:
                    yield {"id": id_, "url": batch["url"][row].as_py(), "request": found[row].as_py()}


def _remove(run: Path, rows: list[dict[str, Any]]) -> Removed:
    """Units, samples and log. Done twice it is done once, so it may begin again wherever it was killed."""
    ids = pa.array([row["id"] for row in rows], pa.string())
    removed = Removed(run)
    for path in sorted(run.glob("shards/*/*.json")):
        manifest = read_manifest(path)
        ledger = run / "ledger" / f"{manifest.key}.arrow"
        named = sum(pc.sum(pc.is_in(b["id"], value_set=ids)).as_py() or 0 for b in read_batches(ledger, ["id"]))
        if named:
            shard = path.with_suffix(".arrow")
            before = manifest.stats.get("documents/kept", 0)
            after = _rewrite_unit(run, path, manifest, ids)
            removed.num_documents += named
            removed.num_kept += before - after
            if before != after:
                removed.shards.append(shard)
    dropped = run / "dropped" / "texts.arrow"
    if dropped.exists():
        _rewrite(dropped, lambda batch: batch.filter(pc.invert(pc.is_in(batch["id"], value_set=ids))))
    logged = {line["id"]: line for line in _read_lines(run / _LOG)} | {row["id"]: row for row in rows}
    write_bytes(run / _LOG, _lines(list(logged.values())))
    return removed


def _rewrite_unit(run: Path, path: Path, manifest: Manifest, ids: pa.Array) -> int:
    """Write the files of a unit without the texts of `ids`, then its manifest; how many documents it keeps."""
    kept = requested = 0

    def named(batch: pa.RecordBatch) -> pa.Array:
        return pc.is_in(batch["id"], value_set=ids)

    def with_reason(batch: pa.RecordBatch) -> pa.RecordBatch:
        nonlocal kept, requested
        lists = batch["drop_reasons"]
        leaves = pc.and_(named(batch), pc.equal(pc.list_value_length(lists), 0)).to_numpy(zero_copy_only=False)
        reasons = lists.to_pylist()
        for row in np.flatnonzero(leaves):
            reasons[row] = [REASON]
        kept += reasons.count([])
        requested += reasons.count([REASON])
        place = batch.schema.get_field_index("drop_reasons")
        return batch.set_column(place, "drop_reasons", pa.array(reasons, lists.type)) if leaves.any() else batch

    shard, ledger = path.with_suffix(".arrow"), run / "ledger" / f"{manifest.key}.arrow"
    files = dict(manifest.files)
    texts = run / texts_name(manifest.key)
    if texts_name(manifest.key) in files:
        rows = pa.chunked_array([pa.array([], pa.bool_()), *(named(b) for b in read_batches(ledger, ["id"]))])
        gone, first = rows.to_numpy(), 0

        def without_text(batch: pa.RecordBatch) -> pa.RecordBatch:
            nonlocal first
            mask = pa.array(gone[first : first + batch.num_rows])
            first += batch.num_rows
            for name in ("given", "text"):  # a null stays one: it tells that the row had no text to remove
                emptied = pc.if_else(pc.and_(mask, batch[name].is_valid()), pa.scalar("", TEXT.type), batch[name])
                batch = batch.set_column(batch.schema.get_field_index(name), name, emptied)
            return batch

        files[texts_name(manifest.key)] = _rewrite(texts, without_text)
    files[str(shard.relative_to(run))] = _rewrite(shard, lambda batch: batch.filter(pc.invert(named(batch))))
    files[str(ledger.relative_to(run))] = _rewrite(ledger, with_reason)
    counts = {"documents/kept": kept, f"dropped/{REASON}": requested, f"failed/{REASON}": requested}
    write_manifest(path, replace(manifest, files=files, stats=Stats(manifest.stats | counts).to_json()))
    return kept


def _rewrite(path: Path, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> WrittenFile:
    """The file at `path` with each batch changed."""
    with ArrowSink(path, open_arrow(path).schema) as sink:
        for batch in read_batches(path):
            sink.write(change(batch))
    return WrittenFile.of(sink)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]
        return [{name: row[name] for name in ("id", "url", "request")} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not what was written ({error}); delete its broken line and run again") from None


def _lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
