"""The runs that are joined into one, and how it takes over what their first pass made.

    RUN 2  work/0/web-00000-000.text.arrow  ──hard link──▶  OUT  work/0/web-00002-000.text.arrow
           work/0/web-00000-000.json        ──new names──▶       work/0/web-00002-000.json, last

A block is taken over when its manifest is there. So a killed merge goes on where it was, and once the first pass is
whole the pieces are not looked at again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from pipelines.numbers import counted
from pipelines.recipe import Recipe
from pipelines.run.blocks import MadeBlock, MadeUnit, read_block, read_blocks, write_block
from pipelines.run.folder import MadeOf, RunFolder
from pipelines.run.opening import Run
from pipelines.run.restart import is_of_this_start, trust_work
from shards import mirror
from shards.cores import usable_cores
from shards.errors import RunError, UserError
from shards.limits import raise_unless_damage
from shards.manifest import Chains, MissingUnit, WrittenFile, file_sha256
from shards.unit_key import UnitKey


@dataclass(frozen=True)
class Piece:
    """One of the runs that are joined."""

    folder: RunFolder
    made_of: MadeOf
    recipe: Recipe
    first: Counter[str]  # by source: number in the joined run of its first file
    is_trusted: bool  # whether its files are as they were written: this start of the machine has written them

    def moved(self, key: UnitKey) -> UnitKey:
        """The key in the joined run."""
        return replace(key, file=key.file + self.first[key.source])


def open_pieces(folders: Sequence[Path]) -> list[Piece]:
    """The runs in `folders`. UserError where one is finished, or lacks a part of its first pass."""
    pieces: list[Piece] = []
    first: Counter[str] = Counter()
    for folder in map(RunFolder, folders):
        made_of = folder.made_of()
        if folder.is_done():
            raise UserError(
                f"{folder}: is finished, and what its first pass made is deleted; make it anew with "
                "`gristmill run … --until-global`"
            )
        if not folder.can_resume():
            raise UserError(f"{folder}: {folder.not_finished()}")
        if missing := _missing(folder, made_of):
            raise UserError(
                f"{folder}: the first pass is not made to its end: {counted(len(missing), 'file')} of "
                f"{len(made_of.inputs):,} missing, the first is {missing[0].file}; run its command again with "
                "--until-global"
            )
        pieces.append(Piece(folder, made_of, folder.recipe(), first.copy(), is_of_this_start(folder)))
        first.update(name.partition("/")[0] for name in made_of.inputs)
    return pieces


def take_first_pass(run: Run, pieces: Sequence[Piece]) -> None:
    """Take over what the pieces made, unless an earlier attempt has: once the first pass is whole, the run goes on."""
    folder = run.folder
    trust_work(folder)
    if not _missing(folder, folder.made_of()):
        return
    _take_notes(folder, pieces)
    folder.sync()  # a whole first pass is the proof that the notes are there, too
    blocks = {piece.moved(b.key): (piece, b.key) for piece in pieces for b in _first_pass(piece.folder, piece.made_of)}
    for key in folder.passed_blocks(0):
        made = read_block(folder.path(folder.pass_manifest(0, key)))
        if key in blocks and made == _Moved.of(run, *blocks[key]).block:
            del blocks[key]  # taken over by an earlier attempt
        else:  # of an attempt to read the inputs, and its units stand in other blocks, too
            folder.delete(folder.pass_manifest(0, key))
    pool = ThreadPoolExecutor(usable_cores())
    try:
        for _ in pool.map(lambda block: _take_block(run, *block), blocks.values()):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    folder.sync()


def _first_pass(folder: RunFolder, made_of: MadeOf) -> Iterator[MadeBlock]:
    """The blocks that the first pass of a run made, in the order of the run."""
    return (block for block in read_blocks(folder, 0) if block.fingerprint == made_of.digest)


def _missing(folder: RunFolder, made_of: MadeOf) -> tuple[MissingUnit, ...]:
    """For each input that the first pass has not made to its end, the first unit that is missing."""
    units = (unit for block in _first_pass(folder, made_of) for unit in block.units)
    return Chains.of(made_of.inputs, units).missing


def _take_notes(run: RunFolder, pieces: Sequence[Piece]) -> None:
    """Take over what the pieces noted beside their blocks: seconds, pages that kill, what is searched for."""
    seconds: Counter[str] = Counter()
    killed: set[bytes] = set()
    for folder in (piece.folder for piece in pieces):
        if folder.has(RunFolder.WORK_SECONDS):
            seconds.update(folder.read_json(RunFolder.WORK_SECONDS, dict[str, float]))
        if folder.has(RunFolder.KILLS):
            killed.update(folder.journal(RunFolder.KILLS).splitlines(keepends=True))
        for name in folder.names(RunFolder.CONTAMINATION, "*.json"):  # the same in all: it follows from the recipe
            run.take(name, folder.path(name))
    run.write_json(RunFolder.WORK_SECONDS, dict(seconds))
    if killed:
        run.write(RunFolder.KILLS, b"".join(sorted(line for line in killed if line.endswith(b"}\n"))))


def _take_block(run: Run, piece: Piece, key: UnitKey) -> None:
    """Take over a block. RunError where a file of it is not the one that was written; where the machine was started
    anew since, or the run was made on another one, the file is read to see that."""
    moved = _Moved.of(run, piece, key)
    for name, (path, written) in moved.files.items():
        if not _is_as_written(path, written, is_trusted=piece.is_trusted):
            manifest = piece.folder.path(piece.folder.pass_manifest(0, key))
            raise RunError(
                f"{path}: missing or not what was written; delete {manifest}, run the command of {piece.folder} again "
                "with --until-global, it makes the file anew, and then this one"
            )
        run.folder.take(name, path)
    write_block(run.folder.path(run.folder.pass_manifest(0, moved.block.key)), moved.block)


@dataclass(frozen=True)
class _Moved:
    """A block of a piece as the joined run has it."""

    block: MadeBlock
    files: dict[str, tuple[Path, WrittenFile]]  # by name in the joined run: where it lies, and what was written

    @classmethod
    def of(cls, run: Run, piece: Piece, key: UnitKey) -> Self:
        there, here = piece.folder, run.folder
        block = read_block(there.path(there.pass_manifest(0, key)))
        whats: tuple[Literal["facts", "text", "dropped"], ...] = ("facts", "text", "dropped")
        names = {there.pass_file(0, key, what): here.pass_file(0, piece.moved(key), what) for what in whats}
        own = {names[name]: written for name, written in block.files.items()}
        files = {names[name]: (there.path(name), written) for name, written in block.files.items()}
        units: list[MadeUnit] = []
        for unit in block.units:
            unit_key = UnitKey.parse(unit.key)
            moved = piece.moved(unit_key)
            units.append(replace(unit, key=str(moved)))
            if unit.texts is not None:
                files[here.texts(moved)] = there.path(there.texts(unit_key)), unit.texts
        return cls(MadeBlock(run.digest, tuple(units), own), files)


def _is_as_written(path: Path, written: WrittenFile, *, is_trusted: bool) -> bool:
    try:
        return mirror.opened(path, Path.stat).st_size == written.num_bytes and (
            is_trusted or file_sha256(path) == written.sha256
        )
    except OSError as error:
        raise_unless_damage(path, error)
        return False
