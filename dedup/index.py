"""An index: documents that earlier runs kept, as files with which a stage compares instead of hashing them again.

    INDEX/<run>-<digest>/index.json                              written last: settings, units, size and sha256 of files
                         documents/<unit>.arrow                  ENTRIES: id, URL, date, source, run, shard
                         minhash/<unit>.{keys,sets,documents}.npy    as `dedup.lsh.signing` signs them
                         exact/<unit>.documents.npy, url_dedup/…     as `dedup.equal_keys` keys them

The address of all is `NOT_HERE`: they come before every document of a run, and are never removed by one. A folder
without its `index.json` was not finished, and readers ignore it. Files are never changed: a removal writes the units
that lose documents under new names, then the manifest that names these, and then deletes the old ones.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from dedup.equal_keys import KEYED
from dedup.files.documents import UnitFiles, format_ids, load_npy, npy_path, save_npy
from dedup.lsh.signing import SIGNED
from dedup.normal_form import VERSION as VERSION_OF_FORM
from shards.address import require_local
from shards.atomic import sync_disk, write_json
from shards.errors import RunError, UserError
from shards.formats import INDEX_FORMAT, format_of
from shards.limits import raise_unless_damage
from shards.manifest import file_sha256
from shards.schema import PROVENANCE
from shards.sink import ArrowSink, read_batches, read_table

ENTRIES = pa.schema(
    [
        *(PROVENANCE.field(name) for name in ("id", "url", "date", "source")),
        pa.field("run", pa.string()),  # name of the run's folder
        pa.field("shard", pa.string()),  # stem of the shard
    ]
)
NAMED = pa.schema([ENTRIES.field(name) for name in ("id", "url", "run")])
CODE = ("version", "normal_form")  # of SETTINGS: what the code decides, and no recipe
# The settings on which the files of a kind depend.
SETTINGS: dict[str, tuple[str, ...]] = {
    "exact": ("version", "normal_form", "normalize"),
    "minhash": ("version", "normal_form", "ngram", "unit", "segmented", "bands", "rows", "seed", "verify"),
    "url_dedup": ("version",),
}


@dataclass(frozen=True)
class IndexPart:
    """The documents that one run added; the content of `index.json`."""

    run: str
    fingerprint: str  # of the run
    num_documents: int
    settings: dict[str, dict[str, Any]]  # by kind
    units: list[str]  # stems of the files
    files: dict[str, tuple[int, str]]  # by path in the folder: bytes, sha256
    version: int = INDEX_FORMAT


_PART = TypeAdapter(IndexPart)


def read_parts(folder: Path) -> dict[Path, IndexPart]:
    """The finished parts of an index by their folders.

    UserError where there is no index or a newer gristmill made it, RunError where it is damaged.
    """
    require_local(folder)
    manifests = sorted(folder.glob("*/index.json"))
    if not manifests:
        raise UserError(f"{folder}: no index; `gristmill index add {folder} RUN` makes one of a finished run")
    parts = {path.parent: _read_part(path) for path in manifests}
    first_folder, first = next(iter(parts.items()))
    for other, part in parts.items():
        if differing := differences(part.settings, first.settings):
            raise RunError(f"{other}: made with other settings than {first_folder}: {differing}; {_remedy(other)}")
    return parts


def _read_part(path: Path) -> IndexPart:
    try:
        values = json.loads(path.read_bytes())
        if isinstance(values, dict):
            values["version"] = format_of(values, "version", path, INDEX_FORMAT, _remedy(path.parent))
        return _PART.validate_python(values)
    except (OSError, ValueError, RecursionError) as error:  # a ValidationError, too, is a ValueError
        raise_unless_damage(path, error)
        cause = " ".join(str(error).split())
        raise RunError(f"{path}: not the manifest of an index ({cause}); {_remedy(path.parent)}") from None


def _remedy(part: Path) -> str:
    return f"delete {part} and run `gristmill index add {part.parent} RUN` again"


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The kinds and settings that differ, in words; "" if none do."""
    words = []
    for kind in sorted({*there, *here}):
        if kind not in there or kind not in here:
            words.append(f"{kind} (only {'there' if kind in there else 'here'})")
            continue
        for key in sorted({*there[kind], *here[kind]}):
            was, wanted = there[kind].get(key), here[kind].get(key)
            if was != wanted:
                words.append(f"{kind}.{key} ({json.dumps(was)} there, {json.dumps(wanted)} here)")
    return ", ".join(words)


@dataclass(frozen=True)
class Index:
    """The earlier documents with which a stage compares those of its run: of its setting `index`, or none."""

    stage: str
    kind: str
    folder: str | None
    settings: dict[str, Any]

    @classmethod
    def of(cls, config: Any, kind: str) -> Self:
        return cls(config.name, kind, config.index, settings_of(config, kind))

    def files(self) -> UnitFiles | None:
        return None if self.folder is None else earlier_files(Path(self.folder), self.kind, self.settings)

    def digests(self) -> dict[str, str]:
        """The digest of the index by name, for the run's fingerprint, which does not depend on the index's path."""
        if self.folder is None:
            return {}
        return {f"{self.stage}.index": digest(Path(self.folder), self.kind, self.settings)}


def settings_of(config: Any, kind: str) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SETTINGS[kind]}


def earlier_files(folder: Path, kind: str, settings: dict[str, Any]) -> UnitFiles:
    """The files of a stage of `kind` with these settings.

    A UserError if the index was made with others, a RunError if a file is missing or cut short.
    """
    stems: list[Path] = []
    for path, part in _parts_of(folder, kind, settings).items():
        for name, (num_bytes, _) in part.files.items():
            if name.startswith(f"{kind}/"):
                _check_size(path, name, num_bytes)
        stems += [path / kind / unit for unit in part.units]
    return UnitFiles.of(stems, SIGNED if kind == "minhash" else KEYED)


def digest(folder: Path, kind: str, settings: dict[str, Any]) -> str:
    """sha256 of all files of the index that a stage of `kind` reads, from the manifests."""
    files = [
        [sha256 for name, (_, sha256) in sorted(part.files.items()) if name.startswith(f"{kind}/")]
        for part in _parts_of(folder, kind, settings).values()
    ]
    return hashlib.sha256(json.dumps(sorted(files)).encode()).hexdigest()


def _parts_of(folder: Path, kind: str, settings: dict[str, Any]) -> dict[Path, IndexPart]:
    parts = read_parts(folder)
    there = next(iter(parts.values())).settings
    if kind not in there:
        raise UserError(f"{folder}: holds no documents of kind {kind}, but of {', '.join(sorted(there))}")
    require_normal_form(folder, parts, [kind])
    if differing := differences({kind: there[kind]}, {kind: settings}):
        raise UserError(
            f"{folder}: was made with other settings: {differing}; set these in the recipe, or make another index"
        )
    return parts


def require_normal_form(folder: Path, parts: Mapping[Path, IndexPart], kinds: Iterable[str]) -> None:
    """UserError if the documents of one of `kinds` were hashed in another normal form than `dedup.normal_form`'s."""
    hashed = [kind for kind in kinds if "normal_form" in SETTINGS[kind]]
    found = {part.settings[kind].get("normal_form", 0) for part in parts.values() for kind in hashed}
    if others := found - {VERSION_OF_FORM}:
        runs = ", ".join(sorted({part.run for part in parts.values()}))
        raise UserError(
            f"{folder}: holds hashes of normal form {min(others)} of texts, and this version compares form "
            f"{VERSION_OF_FORM}; delete the folder and run `gristmill index add {folder} RUN` again for {runs}"
        )


def _check_size(part: Path, name: str, num_bytes: int) -> None:
    path = part / name
    size = path.stat().st_size if path.is_file() else None
    if size != num_bytes:
        cause = "missing" if size is None else f"has {size:,} bytes, its manifest says {num_bytes:,}"
        raise RunError(f"{path}: {cause}; put the file back, or {_remedy(part)}")


def write_part(folder: Path, part: IndexPart) -> IndexPart:
    """Write the manifest of finished files: from now on they are in the index."""
    sync_disk(folder)
    names = [name for unit in part.units for name in _names(part, unit)]
    files = {name: ((folder / name).stat().st_size, file_sha256(folder / name)) for name in names}
    part = replace(part, files=files)
    write_json(folder / "index.json", asdict(part))
    return part


def _names(part: IndexPart, unit: str) -> list[str]:
    arrays = {kind: ("keys", "sets", "documents") if kind == "minhash" else ("documents",) for kind in part.settings}
    return [f"documents/{unit}.arrow", *(f"{k}/{unit}.{name}.npy" for k, names in arrays.items() for name in names)]


def name_documents(folder: Path, ids: pa.Array) -> pa.Table:
    """NAMED of those of `ids` that are in the index, by id; if several runs added one, its first entry."""
    entries = (batch.filter(pc.is_in(batch["id"], value_set=ids)) for batch in _entries(folder, NAMED.names))
    named = pa.Table.from_batches([batch for batch in entries if batch.num_rows], NAMED)
    _, first = np.unique(named["id"].to_numpy(zero_copy_only=False).astype(str), return_index=True)
    return named.take(pa.array(first))


def _entries(folder: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for path, part in read_parts(folder).items():
        for unit in part.units:
            yield from read_batches(path / "documents" / f"{unit}.arrow", columns)


def write_earlier(folder: Path, verdicts: Sequence[Path], target: Path) -> None:
    """Write NAMED of the twins in `verdicts` that are in the index, so that the run can name them without it."""
    # `unique` copies, so no file stays open.
    twins = [pa.array([], pa.string()), *(pc.unique(read_table(path, ["twin"])["twin"]) for path in verdicts)]
    with ArrowSink(target, NAMED) as sink:
        for batch in name_documents(folder, pa.concat_arrays(twins).unique()).combine_chunks().to_batches():
            sink.write(batch)


def remove_documents(folder: Path, matches: Callable[[pa.RecordBatch], np.ndarray]) -> int:
    """Take out the documents of which `matches`, bool for each row with `id` and `url`, is true; how many they are.

    The caller holds the lock. What a killed attempt left is cleared away, and the same call completes it.
    """
    number = 0
    for path, part in read_parts(folder).items():
        _sweep(path, part)
        units = list(part.units)
        for k, unit in enumerate(units):
            entries = read_table(path / "documents" / f"{unit}.arrow")
            removed = np.concatenate([np.zeros(0, np.bool_), *(matches(batch) for batch in entries.to_batches())])
            if removed.any():
                units[k] = _rewrite(path, part, unit, entries, removed)
                number += int(removed.sum())
        if units != part.units:
            num_left = sum(read_table(path / "documents" / f"{unit}.arrow", ["id"]).num_rows for unit in units)
            _sweep(path, write_part(path, replace(part, units=units, num_documents=num_left)))
    return number


def _rewrite(path: Path, part: IndexPart, unit: str, entries: pa.Table, removed: np.ndarray) -> str:
    """Write the files of `unit` without the `removed` documents; returns the new unit's name."""
    for name in _names(part, unit):
        _check_size(path, name, part.files[name][0])
    stem, _, version = unit.partition("+")
    new = f"{stem}+{int(version or 0) + 1}"
    ids = entries["id"].filter(pa.array(removed)).combine_chunks()
    for kind in part.settings:
        old_stem, new_stem = path / kind / unit, path / kind / new
        documents = np.array(load_npy(npy_path(old_stem, "documents")))
        kept = ~pc.is_in(format_ids(documents["id"]), value_set=ids).to_numpy(zero_copy_only=False)
        if kind == "minhash":
            sets = load_npy(npy_path(old_stem, "sets"))  # end to end, in the order of documents
            save_npy(npy_path(new_stem, "sets"), sets[np.repeat(kept, documents["set_size"])])
            save_npy(npy_path(new_stem, "keys"), np.ascontiguousarray(load_npy(npy_path(old_stem, "keys"))[:, kept]))
            documents["set_start"] -= np.cumsum(np.where(kept, 0, documents["set_size"]))
        save_npy(npy_path(new_stem, "documents"), documents[kept])
    with ArrowSink(path / "documents" / f"{new}.arrow", ENTRIES) as sink:
        for batch in entries.filter(pa.array(~removed)).combine_chunks().to_batches():
            sink.write(batch)
    return new


def _sweep(path: Path, part: IndexPart) -> None:
    """Delete the files that the manifest does not name."""
    known = {path / name for name in part.files}
    for kind in ("documents", *part.settings):
        for file in (path / kind).iterdir():
            if file not in known:
                file.unlink()
