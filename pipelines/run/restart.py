"""After a restart of the machine: which files of a run under way can be trusted.

A run does not sync its files one by one (`shards.atomic`). What it wrote under this start of the machine is as it was
written, whoever was killed. After a restart, files may be empty that were written after the last sync of the disk: a
block or a unit whose files are not those of its manifest is made again, and so is a global stage without its mark.
"""

from pipelines.run.blocks import is_whole, read_block
from pipelines.run.folder import RunFolder
from shards import mirror
from shards.atomic import boot_id
from shards.errors import RunError
from shards.manifest import read_manifest


def trust_work(run: RunFolder) -> None:
    """Remove what a restart of the machine may have spoilt, and note under which start the work goes on."""
    if mirror.is_mirrored(run.root):
        return  # what is in a store is there to stay
    if run.has(RunFolder.WORK) and not is_of_this_start(run):
        for number in run.passes_under_way():
            for key in run.passed_blocks(number):
                if not _is_whole_block(run, run.pass_manifest(number, key)):
                    run.delete(run.pass_manifest(number, key))
            for stage in run.stages_under_way(number):
                run.delete(stage)
        for key in run.units():
            if not _is_whole_unit(run, run.manifest(key)):
                run.delete(run.manifest(key))
        for name in (RunFolder.DROPPED, RunFolder.DEDUP, RunFolder.BLOCK_LEDGERS, RunFolder.WORK_SECONDS):
            run.delete(name)
    run.write_json(RunFolder.WORK_BOOT, {"boot": boot_id()})


def is_of_this_start(run: RunFolder) -> bool:
    """Whether the work was written under this start of the machine."""
    try:
        return run.read_json(RunFolder.WORK_BOOT, dict[str, str])["boot"] == boot_id()
    except (RunError, KeyError):
        return False


def _is_whole_block(run: RunFolder, name: str) -> bool:
    try:
        return is_whole(run, read_block(run.path(name)))
    except RunError:
        return False


def _is_whole_unit(run: RunFolder, name: str) -> bool:
    try:
        files = read_manifest(run.path(name)).files
    except RunError:
        return False
    return all(written.is_at(run.path(file)) for file, written in files.items())
