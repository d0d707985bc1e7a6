"""A summary is the manifests of some hundreds of units in one file, so that few reads tell what a large run holds.

    shards/web/web-00000-000.json ─┐
    shards/web/web-00000-001.json ─┼─▶ summaries/web-00000-000.arrow      a row a manifest, a column a count
    …                             ─┘

It is a cache. A row counts only while the manifest that it was made from lies unchanged in its place, as its `Stamp`
shows; a file that is no whole summary is a summary of nothing.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

from shards.manifest import Link, Manifest, WrittenFile
from shards.stats import Stats

_MAGIC = b"gristmill summary 1\n"  # another layout has another number
_DIGEST_BYTES = hashlib.sha256().digest_size
_MOST = 1 << 53  # below it sums of counts cannot overflow
_COUNT = "stats/"  # begins the name of a column of counts; null where a manifest has no such count
_ONCE = pa.dictionary(pa.int32(), pa.string())  # a text that most units share is stored once
_FILES = pa.list_(pa.struct({"name": pa.string(), "rows": pa.int64(), "num_bytes": pa.int64(), "sha256": pa.string()}))
_SCHEMA = pa.schema(
    {
        "manifest_bytes": pa.int64(),  # the stamp
        "manifest_tag": pa.string(),
        "key": pa.string(),
        "source": _ONCE,
        "file": pa.string(),
        "start": pa.int64(),
        "next_start": pa.int64(),
        "fingerprint": _ONCE,
        "damage": _ONCE,  # as JSON
        "files": _FILES,
        "recipe": _ONCE,
        "schema_version": pa.int64(),
    }
)
_PLAIN = ("key", "source", "file", "start", "next_start", "fingerprint", "recipe", "schema_version")


class Stamp(NamedTuple):
    """What a listing says of a file: with an equal stamp it is the same file."""

    num_bytes: int
    tag: str  # time of the last change and inode, or the ETag of an object


class Summary:
    """Manifests as a table, in the order in which they were given."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def of(cls, manifests: Sequence[Manifest], stamps: Sequence[Stamp]) -> Self:
        """OverflowError where a count is 2⁵³ or more, which no unit has."""
        if any(abs(count) >= _MOST for manifest in manifests for count in manifest.stats.values()):
            raise OverflowError("a count that is too large for a summary")
        counts = sorted({name for manifest in manifests for name in manifest.stats})
        columns: dict[str, list[Any]] = {name: [getattr(m, name) for m in manifests] for name in _PLAIN}
        columns["manifest_bytes"] = [stamp.num_bytes for stamp in stamps]
        columns["manifest_tag"] = [stamp.tag for stamp in stamps]
        columns["damage"] = [json.dumps(m.damage) for m in manifests]
        columns["files"] = [[{"name": name, **asdict(file)} for name, file in m.files.items()] for m in manifests]
        columns |= {_COUNT + name: [m.stats.get(name) for m in manifests] for name in counts}
        schema = pa.schema([*_SCHEMA, *(pa.field(_COUNT + name, pa.int64()) for name in counts)])
        return cls(pa.table(columns, schema))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The summary that `to_bytes` wrote; of any other bytes, one of no manifests."""
        digest, table = data[len(_MAGIC) :][:_DIGEST_BYTES], data[len(_MAGIC) + _DIGEST_BYTES :]
        # Arrow can crash where a byte was changed, so it sees only what was written.
        if not (data.startswith(_MAGIC) and hashlib.sha256(table).digest() == digest):
            return cls(_SCHEMA.empty_table())
        return cls(pa.ipc.open_file(pa.py_buffer(table)).read_all())

    def to_bytes(self) -> bytes:
        """Equal summaries give equal bytes."""
        out = pa.BufferOutputStream()
        with pa.ipc.new_file(out, self._table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(self._table)
        table: bytes = out.getvalue().to_pybytes()
        return _MAGIC + hashlib.sha256(table).digest() + table

    def unchanged(self, stamps: Mapping[str, Stamp]) -> Self:
        """The rows whose manifest, named by its unit's key, still has the stamp that it had."""
        seen = zip(self.keys(), self._list("manifest_bytes"), self._list("manifest_tag"), strict=True)
        mask = [stamps.get(key) == (num_bytes, tag) for key, num_bytes, tag in seen]
        return self if all(mask) else self._where(mask)

    def keys(self) -> list[str]:
        keys: list[str] = self._list("key")
        return keys

    def stats(self) -> Stats:
        """The sum of all counts."""
        return Stats({name[len(_COUNT) :]: pc.sum(self._table[name]).as_py() or 0 for name in self._counts()})

    def links(self) -> Iterator[Link]:
        return map(Link, *(self._list(name) for name in Link._fields))

    def damaged(self) -> Iterator[Manifest]:
        """The manifests that list damage."""
        mask = [damage != "[]" for damage in self._list("damage")]
        return self._where(mask).manifests() if any(mask) else iter(())

    def manifests(self) -> Iterator[Manifest]:
        counts = [name[len(_COUNT) :] for name in self._counts()]
        rows = zip(*(self._list(_COUNT + name) for name in counts), strict=True) if counts else iter(())
        plain = zip(*(self._list(name) for name in _PLAIN), strict=True)
        for values, damage, files in zip(plain, self._list("damage"), self._list("files"), strict=True):
            yield Manifest(
                **dict(zip(_PLAIN, values, strict=True)),
                stats={name: count for name, count in zip(counts, next(rows, ()), strict=True) if count is not None},
                damage=json.loads(damage),
                files={file.pop("name"): WrittenFile(**file) for file in files},
            )

    def _counts(self) -> list[str]:
        names: list[str] = self._table.schema.names
        return names[len(_SCHEMA) :]

    def _list(self, name: str) -> list[Any]:
        values: list[Any] = self._table[name].to_pylist()
        return values

    def _where(self, mask: list[bool]) -> Self:
        return type(self)(self._table.filter(pa.array(mask, pa.bool_())))
