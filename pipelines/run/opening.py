"""Open a run: a recipe applied to its inputs in one folder, which can be resumed at any moment.

To resume is to make every unit that has no manifest. Finished units are never made again. A folder that holds a run of
another recipe, other inputs or another version is refused, and the keys that differ are named.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.numbers import size
from pipelines.recipe import Recipe
from pipelines.run.fingerprint import differences, fingerprint
from pipelines.run.folder import RunFolder
from pipelines.run.indexed_inputs import Selection, select
from pipelines.run.part import WHOLE, Part
from pipelines.run.source_columns import source_columns
from shards import mirror
from shards.address import require_local
from shards.atomic import disk_error
from shards.errors import RunError, UserError
from shards.exchange import GlobalStageConfig
from shards.formats import RUN_FORMAT
from shards.lock import locked
from shards.manifest import check_shards
from shards.segmenters import cuts_japanese
from shards.storage import InputFile, find_inputs
from shards.unit_key import UnitKey

_DISK_SHARE = 0.65  # of the bytes of the inputs: on 3,013 real pages a run took .42 of the gzip WARC at its peak
_DISK_LEAST = 16_000_000  # bytes: room for what any run writes, its report, manifests and schemas


@dataclass
class Run:
    """A run to be made: its folder, and what belongs in it."""

    folder: RunFolder
    recipe: Recipe
    inputs: dict[str, list[InputFile]]  # by source
    brought: dict[str, pa.Schema] = field(default_factory=dict)  # by source: columns that its rows bring along
    saved: RunFolder | None = None  # a run of the same inputs: extraction is taken from it instead of from the inputs
    recalled: frozenset[str] = frozenset()  # names of later stages whose metrics are taken from it too
    fingerprint: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.recipe, self.inputs)

    @property
    def digest(self) -> str:
        return str(self.fingerprint["digest"])


def open_run(recipe: Recipe, folder: Path, *, part: Part = WHOLE, overwrite: bool = False) -> Run:
    """The run of `recipe` in `folder`, new or to be resumed. Everything that can be refused is refused here."""
    found, selections = dict[str, list[InputFile]](), list[Selection]()
    for name, source in recipe.sources.items():
        found[name] = find_inputs(source.paths, source.suffixes, f"source.{name}.paths")
        if source.kind == "index":
            selections.append(select(name, source, found[name], RunFolder(folder)))
            found[name] = selections[-1].inputs()
    inputs = part.of_each(found)
    for name, source in recipe.sources.items():
        if source.kind == "shards":
            check_shards(source.paths, f"source.{name}.paths")
    run = Run(RunFolder(folder), recipe, inputs, source_columns(recipe, inputs))
    open_folder(run, overwrite=overwrite)
    for selection in selections:
        selection.keep(run.folder)
    return run


def open_folder(run: Run, *, overwrite: bool, num_bytes_there: int = 0) -> None:
    """Make the folder of a new run, or check that it holds this one. It needs no room for the bytes that are there."""
    _require_segmenter(run.recipe)
    folder, root = run.folder, run.folder.root
    require_local(root)
    try:
        _make_way(run, overwrite=overwrite)
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise disk_error(root, error) from None
    _look_at_disk(run, num_bytes_there)
    if not (folder.is_run() and _has_recipe(folder)) or _is_older(folder):
        with locked(root):
            folder.write_made_of(run.fingerprint)
            folder.write(RunFolder.RECIPE, run.recipe.without_secrets().to_toml().encode())


def is_done(folder: Path) -> bool:
    return RunFolder(folder).is_done()


def group_of_unit(recipe: Recipe, key: UnitKey, file: str, stage: GlobalStageConfig) -> str:
    """The part of the run in which `stage` compares the unit `key` of the input `file`."""
    return stage.group_of(key.source, recipe.sources[key.source].snapshot_of(key.source, file))


def _make_way(run: Run, *, overwrite: bool) -> None:
    """Clear the folder of a run that gives way to this one. UserError where it holds something else."""
    folder, root = run.folder, run.folder.root
    if root.exists() and not root.is_dir():
        raise UserError(f"{folder}: is a file; choose a folder for --out")
    if folder.is_run():
        there = folder.made_of()
        if there.digest != run.digest:
            if not overwrite and not folder.is_untouched():
                raise UserError(
                    f"{folder}: holds another run; different: {', '.join(differences(there.parts, run.fingerprint))}; "
                    "choose another --out, or --overwrite to redo it"
                )
            _clear(folder)
        elif overwrite and (folder.is_done() or not folder.can_resume()):
            _clear(folder)
        elif not folder.is_done() and not folder.can_resume():
            raise UserError(f"{folder}: {folder.not_finished()}: its units are made again, and nothing else is lost")
    elif folder.has_others():
        raise UserError(f"{folder}: is not empty and is no run of gristmill; choose another --out")
    if folder.is_done():
        folder.delete(RunFolder.WORK)  # left where a kill came between writing the report and this


def _has_recipe(folder: RunFolder) -> bool:
    """Whether the recipe is there and can be read; else it is written anew, since it is that of this run."""
    try:
        folder.recipe()
    except RunError:
        return False
    return True


def _is_older(folder: RunFolder) -> bool:
    """Whether a run that goes on was begun in an older format: from here on it is written in today's."""
    return not folder.is_done() and folder.made_of().format < RUN_FORMAT


def _clear(folder: RunFolder) -> None:
    with locked(folder.root):
        folder.clear()


def _require_segmenter(recipe: Recipe) -> None:
    """A recipe that asks for Japanese gets Japanese words; in others, stray Japanese pages stay single characters."""
    languages = {language for stage in recipe.local_stages() for language in stage.kept_languages}
    cut = (getattr(stage, "only_languages", ()) or languages for _, stage in recipe.stages if stage.segments)
    if "ja" in languages and any("ja" in of_stage for of_stage in cut) and not cuts_japanese():
        raise UserError(
            f"{recipe.name}: cuts Japanese into words, and the segmenter is not installed: "
            "pip install 'gristmill[japanese]'"
        )


def _look_at_disk(run: Run, num_bytes_there: int) -> None:
    """UserError where the disk has too little room. A store has as much as it is paid for."""
    if mirror.is_mirrored(run.folder.root):
        return
    num_bytes = sum(f.num_bytes for files in run.inputs.values() for f in files)
    need = max(_DISK_LEAST, int(_DISK_SHARE * num_bytes) - num_bytes_there)
    root = run.folder.root
    try:
        free = shutil.disk_usage(next(path for path in (root, *root.absolute().parents) if path.exists())).free
    except OSError as error:
        raise disk_error(root, error) from None
    if free < need and not run.folder.is_done():
        raise UserError(
            f"{root}: the run needs about {size(need)} and the disk has {size(free)} free; "
            "free some, or choose an --out on another disk"
        )
