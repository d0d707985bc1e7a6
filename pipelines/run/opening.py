"""A run: a recipe applied to its inputs, in one folder, resumable at any moment.

    run/run.json          fingerprint and what it is made of: written first, compared on every rerun
    run/recipe.toml       the resolved recipe
    run/work/             passes under way; removed when the run is done
    run/shards/<source>/  kept documents and, beside each shard, its manifest
    run/ledger/           a row for every record
    run/dropped/          texts of dropped rows
    run/texts/            what extraction gave, of every record
    run/dedup/            verified edges and alarms of global stages
    run/kills.jsonl       pages that killed the extractor
    run/report.json       written last: the run is done

Resume is: make what has no manifest. Units already made are never made again, and a folder of another recipe, other
inputs or another version is refused, the differing keys named.
"""

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.recipe import Recipe
from pipelines.run.fingerprint import differences, fingerprint
from shards.atomic import disk_error, write_bytes, write_json
from shards.errors import RunError, UserError
from shards.lock import locked
from shards.manifest import check_shards
from shards.segmenters import cuts_japanese
from shards.storage import InputFile, find_inputs

# Of the inputs' bytes. On 3,013 real pages a run took .42 of the gzip WARC at its peak: .09 are texts.
_DISK_SHARE = 0.65
_DISK_LEAST = 200 << 20


@dataclass
class Run:
    """One run folder and what belongs in it."""

    folder: Path
    recipe: Recipe
    inputs: dict[str, list[InputFile]]  # by source
    saved: Path | None = None  # the run of the same inputs that extraction is taken from, instead of the inputs
    fingerprint: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.recipe, self.inputs)

    @property
    def digest(self) -> str:
        return str(self.fingerprint["digest"])


def open_run(recipe: Recipe, folder: Path, *, overwrite: bool = False) -> Run:
    """The run of `recipe` in `folder`, new or to be resumed. Everything that can be refused is refused here."""
    inputs = {
        name: find_inputs(source.paths, source.suffixes, f"source.{name}.paths")
        for name, source in recipe.sources.items()
    }
    for name, source in recipe.sources.items():
        if source.kind == "shards":
            check_shards(source.paths, f"source.{name}.paths")
    run = Run(folder, recipe, inputs)
    open_folder(run, overwrite=overwrite)
    return run


def _require_segmenter(recipe: Recipe) -> None:
    """Who asks for Japanese by name gets Japanese words; in other runs its stray pages stay single characters."""
    languages = {language for _, stage in recipe.stages for language in getattr(stage, "languages", ())}
    cuts = any(getattr(stage, "segmented", False) or getattr(stage, "compat", None) for _, stage in recipe.stages)
    if cuts and "ja" in languages and not cuts_japanese():
        raise UserError(
            f"{recipe.name}: cuts Japanese into words, and the segmenter is not installed: "
            "pip install 'gristmill[japanese]'"
        )


def open_folder(run: Run, *, overwrite: bool) -> None:
    """Make the folder of a new run, or see that it holds this one."""
    _require_segmenter(run.recipe)
    folder = run.folder
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; choose a folder for --out")
    made_of = folder / "run.json"
    if made_of.exists():
        found = read_made_of(folder)
        if found["digest"] != run.digest:
            if not overwrite:
                raise UserError(
                    f"{folder}: holds another run; different: {', '.join(differences(found, run.fingerprint))}; "
                    "choose another --out, or --overwrite to redo it"
                )
            _clear(folder)
        elif overwrite and (folder / "report.json").exists():
            _clear(folder)
    elif folder.exists() and any(p.name not in ("run.json.part", ".lock") for p in folder.iterdir()):
        raise UserError(f"{folder}: is not empty and is no run of gristmill; choose another --out")
    if is_done(folder):
        shutil.rmtree(folder / "work", ignore_errors=True)  # left where a kill came between the report and this
    _look_at_disk(run)
    if not (made_of.exists() and (folder / "recipe.toml").exists()):
        with locked(folder):
            write_json(made_of, run.fingerprint)
            write_bytes(folder / "recipe.toml", run.recipe.to_toml().encode())


def is_done(folder: Path) -> bool:
    return (folder / "report.json").exists()


def _clear(folder: Path) -> None:
    """Remove a run's own files, and nothing else that may lie in the folder. First of all the sign that it is done."""
    with locked(folder):
        (folder / "report.json").unlink(missing_ok=True)
        for name in ("work", "shards", "ledger", "dropped", "texts", "dedup"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("report.html", "kills.jsonl", "seconds.json", "recipe.toml", "run.json"):
            (folder / name).unlink(missing_ok=True)


def _look_at_disk(run: Run) -> None:
    need = max(_DISK_LEAST, int(_DISK_SHARE * sum(f.num_bytes for fs in run.inputs.values() for f in fs)))
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(run.folder).free
    except OSError as error:
        raise disk_error(run.folder, error) from None
    if free < need and not is_done(run.folder):
        raise UserError(
            f"{run.folder}: the run needs about {need / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free; "
            "free some, or choose an --out on another disk"
        )


def read_made_of(folder: Path) -> dict[str, Any]:
    """`run.json`: what the run in `folder` is made of. UserError where there is none, RunError where it is broken."""
    path = folder / "run.json"
    if not path.exists():
        raise UserError(f"{folder}: no run of gristmill (it has no run.json)")
    found = _read_json(path)
    if not isinstance(found, dict):
        raise RunError(f"{path}: holds no table of what the run is made of; {_REMEDY}")
    for key, kind in (("digest", str), ("version", str), ("library", dict), ("input", dict)):
        if not isinstance(found.get(key), kind):
            raise RunError(f"{path}: {key}: missing or not what was written; {_REMEDY}")
    for name, about in found["input"].items():
        if not _INPUT_NAME.fullmatch(name) or not (isinstance(about, list) and [*map(type, about)] == [int, str]):
            raise RunError(f"{path}: input.{name}: not what was written; {_REMEDY}")
    return found


def require_units(folder: Path) -> None:
    """RunError where the shard or the ledger of a unit is gone: what is left would pass for the whole run."""
    for manifest in sorted((folder / "shards").glob("*/*.json")):
        for path in (manifest.with_suffix(".arrow"), folder / "ledger" / f"{manifest.stem}.arrow"):
            if not path.exists():
                raise RunError(f"{path}: missing; put it back, or see `gristmill verify {folder}` to make it again")


_REMEDY = "put the file back, or delete the folder and run again"
_INPUT_NAME = re.compile(r"[^/]+/[0-9]{5,}/.+", re.DOTALL)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable ({error}); {_REMEDY}") from None
