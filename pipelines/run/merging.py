"""Join runs that stopped before their first global stage into one, which goes on from there.

    RUN 1   web-00000-000 web-00001-000 ─┐        web-00000-000 web-00001-000
    RUN 2   web-00000-000 ark-00000-000 ─┴─▶ OUT  web-00002-000 ark-00000-000

A file of a source has the number that it would have in one run over the inputs of all runs, one run after the other.
Nothing that the first pass writes depends on this number but the names and the manifests. So the files are taken over
as they are, the manifests are written anew, and OUT is that one run with its first pass made: its inputs are not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.recipe import Recipe
from pipelines.run.fingerprint import differences
from pipelines.run.folder import RunFolder
from pipelines.run.opening import Run, open_folder
from pipelines.run.pieces import Piece, open_pieces, take_first_pass
from pipelines.run.unit_files import ROW, carried_columns
from shards.errors import UserError
from shards.lock import locked
from shards.schema import PROVENANCE, TEXT
from shards.sink import open_arrow
from shards.storage import InputFile


def open_merge(folders: Sequence[Path], out: Path, *, overwrite: bool = False) -> Run:
    """The run that joins those in `folders`, in this order, to be made in `out`; new or to be resumed.

    Its first pass is made. UserError where a run is finished or lacks a part of its first pass, where they are not of
    one recipe and version, or where a file was given to two of them.
    """
    pieces = open_pieces(folders)
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{out}: is one of the runs that are joined, or lies in it; choose another --out")
    _require_one_recipe(pieces)
    _require_given_once(pieces)
    recipe = _joined_recipe([piece.recipe for piece in pieces])
    run = Run(RunFolder(out), recipe, _joined_inputs(recipe, pieces), _brought(recipe, pieces))
    _require_unchanged(pieces[0], run)
    open_folder(run, overwrite=overwrite, num_bytes_there=_num_bytes_shared(out, pieces))
    if not run.folder.is_done():
        with locked(out):
            take_first_pass(run, pieces)
    return run


def _require_one_recipe(pieces: Sequence[Piece]) -> None:
    """UserError where the runs are not of one recipe and version, with the same models and lists."""
    first, *others = pieces
    wanted = _settings(first.recipe, first.made_of.parts)
    for piece in others:
        if different := differences(wanted, _settings(piece.recipe, piece.made_of.parts)):
            raise UserError(
                f"{piece.folder}: is no run of the recipe and version of {first.folder}; different: "
                f"{', '.join(different)}; make it anew with those"
            )


def _require_unchanged(piece: Piece, run: Run) -> None:
    """UserError where the joined run, made today, would have other bytes than the runs that it joins."""
    if different := differences(_settings(piece.recipe, piece.made_of.parts), _settings(run.recipe, run.fingerprint)):
        raise UserError(
            f"{piece.folder}: what a run depends on has changed since; different: {', '.join(different)}; go on with "
            "those, or make the runs anew"
        )


def _settings(recipe: Recipe, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """What a run depends on beside its inputs."""
    resolved = recipe.resolved()
    return {key: resolved[key] for key in ("name", "about", "alarms")} | {
        key: value for key, value in fingerprint.items() if key not in ("digest", "input")
    }


def _joined_recipe(recipes: Sequence[Recipe]) -> Recipe:
    """The recipe of the runs, with the paths of all; paths that a run shares with the one before it stand there once,
    since both are parts of them."""
    paths: dict[str, tuple[str, ...]] = {}
    for name in recipes[0].sources:
        lists = [recipe.sources[name].paths for recipe in recipes if name in recipe.sources]
        new = [one for before, one in zip([(), *lists], lists, strict=False) if one != before]
        paths[name] = tuple(path for one in new for path in one)
    sources = {name: source.model_copy(update={"paths": paths[name]}) for name, source in recipes[0].sources.items()}
    return replace(recipes[0], sources=sources)


def _joined_inputs(recipe: Recipe, pieces: Sequence[Piece]) -> dict[str, list[InputFile]]:
    """The inputs of all pieces by source, as their fingerprints have them. The files themselves may be gone."""
    inputs: dict[str, list[InputFile]] = {name: [] for name in recipe.sources}
    for piece in pieces:
        for path, (num_bytes, version) in piece.made_of.inputs.items():
            source, _, name = path.split("/", 2)
            inputs[source].append(InputFile("", name, num_bytes, version))
    return inputs


def _require_given_once(pieces: Sequence[Piece]) -> None:
    """UserError where two runs have a file of the same size and version in one source.

    Runs over parts of one list may both have a file with the same content, under two names: the list has both. A file
    without bytes has nothing to be read twice, and of a file without a version nothing is known but its name.
    """
    given: dict[tuple[str, int, str], dict[tuple[str, ...], dict[str, Piece]]] = {}  # then by paths and name
    for piece in pieces:
        for path, (num_bytes, version) in piece.made_of.inputs.items():
            source, _, name = path.split("/", 2)
            if not num_bytes:
                continue
            by_paths = given.setdefault((source, num_bytes, version or f"named {name}"), {})
            own = piece.recipe.sources[source].paths
            others = [next(iter(names.items())) for paths, names in by_paths.items() if paths != own]
            others.append((name, by_paths.setdefault(own, {}).setdefault(name, piece)))
            for other_name, other in others:
                if other is not piece:
                    raise UserError(
                        f"{piece.folder}: source.{source}: {name} is a file of {other.folder}, too ({other_name}: the "
                        "same size and version); make one of the two runs without it"
                    )


def _brought(recipe: Recipe, pieces: Sequence[Piece]) -> dict[str, pa.Schema]:
    """The columns that sources of shards bring along. UserError where two pieces have brought others of one source."""
    made_here = {*ROW.names, *PROVENANCE.names, TEXT.name, *carried_columns(recipe.passes())[0].names}
    found: dict[str, tuple[Piece, pa.Schema]] = {}
    for piece in pieces:
        for source, key in {key.source: key for key in piece.folder.passed_blocks(0)}.items():
            if recipe.sources[source].kind != "shards":
                continue
            stored = open_arrow(piece.folder.path(piece.folder.pass_file(0, key, "text"))).schema
            brought = pa.schema([field for field in stored if field.name not in made_here])
            other, of_other = found.setdefault(source, (piece, brought))
            if brought != of_other:
                raise UserError(
                    f"{piece.folder}: source.{source}: its shards bring {_named(brought)}, and those of {other.folder} "
                    f"{_named(of_other)}; make one run of the shards of both"
                )
    return {source: brought for source, (_, brought) in found.items()}


def _named(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema) or "no columns"


def _num_bytes_shared(out: Path, pieces: Sequence[Piece]) -> int:
    """The size of what the joined run needs no room for, since it lies on the disk of `out` already."""
    disk = next(path for path in (out, *out.absolute().parents) if path.exists()).stat().st_dev
    on_it = (piece.folder for piece in pieces if piece.folder.root.stat().st_dev == disk)
    return sum(folder.num_bytes(name) for folder in on_it for name in (RunFolder.WORK, RunFolder.TEXTS))
