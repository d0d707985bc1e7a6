"""The fingerprint of a run: everything that its bytes depend on. Runs with equal fingerprints make equal files.

Paths, workers, memory and the output folder are not in it; of an index its content counts. An input is identified by
its name relative to its source, its size, and on a server its ETag, else Last-Modified, on disk a digest of its first
and last MiB.
"""

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cleaners.assets.listfile import facts_of
from dedup.same_record import SAME_RECORD
from pipelines.recipe import Recipe
from shards.address import is_remote
from shards.stage import StageConfig
from shards.storage import InputFile

_READING = ("trafilatura", "resiliparse", "fastwarc", "lxml")  # that change what is read and extracted
_LIBRARIES = (*_READING, "fasttext-community", "ftfy", "rjieba")  # that change what comes out
_OPTIONAL = ("sudachipy", "sudachidict_core")
_MIB = 1 << 20


def fingerprint(recipe: Recipe, inputs: Mapping[str, Sequence[InputFile]]) -> dict[str, Any]:
    """The parts by name; the first is `digest`, the sha256 of all others."""
    resolved = recipe.resolved(paths=False)
    stages = [stage for _, stage in recipe.stages]
    parts: dict[str, Any] = {
        "version": version("gristmill"),
        "source": resolved["source"],
        "source order": list(resolved["source"]),
        "stage": {s["name"]: s for s in resolved["stage"]},
        "stage order": [s["name"] for s in resolved["stage"]],
        "stage version": {s.name: s.version for s in (*stages, SAME_RECORD)},
        "output": resolved["output"],
        "digest of": {k: v for s in stages for k, v in s.digests().items()},
        "list": {k: v for s in stages for k, v in facts_of(s.lists()).items()},
        "library": _libraries(),
        "unicode": unicodedata.unidata_version,
        "input": {
            f"{name}/{i:05d}/{file.name}": [file.num_bytes, version_of(file)]
            for name, files in inputs.items()
            for i, file in enumerate(files)
        },
    }
    data = json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()
    return {"digest": hashlib.sha256(data).hexdigest(), **parts}


def early_differences(found: Mapping[str, Any], early: Sequence[StageConfig]) -> list[str]:
    """What differs between the run with fingerprint `found` and today for the stages `early`, a line each."""
    digests = {key: value for stage in early for key, value in stage.digests().items()}
    libraries = _LIBRARIES if any(name.endswith(".model") for name in digests) else _READING
    wanted = {
        "stage version": {stage.name: stage.version for stage in early},
        "library": {name: version(name) for name in libraries},
        "digest of": digests,
        "list": {key: value for stage in early for key, value in facts_of(stage.lists()).items()},
        "unicode": unicodedata.unidata_version,
    }
    return differences(_same_keys(found, wanted), wanted)


def stage_differences(found: Mapping[str, Any], stage: StageConfig) -> list[str]:
    """What differs between the run with fingerprint `found` and today for a stage that reads texts, a line each."""
    wanted = {
        "version": version("gristmill"),
        "stage version": {stage.name: stage.version},
        "digest of": stage.digests(),
        "list": facts_of(stage.lists()),
        "library": _libraries(),
        "unicode": unicodedata.unidata_version,
    }
    return differences(_same_keys(found, wanted), wanted)


def _same_keys(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `found` that `wanted` has."""
    return {
        part: {name: found.get(part, {}).get(name) for name in now} if isinstance(now, dict) else found.get(part)
        for part, now in wanted.items()
    }


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """What differs between two fingerprints, as `key path (value there, value here)`."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [k for k in {**found, **wanted} if k != "digest"]
        return [d for k in keys for d in differences(found.get(k), wanted.get(k), f"{path}.{k}" if path else str(k))]
    return [] if found == wanted else [f"{path} ({_short(found)} there, {_short(wanted)} here)"]


def version_of(file: InputFile) -> str:
    """What tells the versions of a file apart; it has no path where only the record of another run is left of it."""
    on_disk = file.path and not is_remote(file.path) and not file.fault
    return _sample_digest(file) if on_disk and not file.version else file.version


def _sample_digest(file: InputFile) -> str:
    """A digest that tells local files apart without reading a dump twice."""
    digest = hashlib.sha256()
    with Path(file.path).open("rb") as stream:
        digest.update(stream.read(_MIB))
        if file.num_bytes > 2 * _MIB:
            stream.seek(file.num_bytes - _MIB)
            digest.update(stream.read())
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES} | {name: _version(name) for name in _OPTIONAL}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
