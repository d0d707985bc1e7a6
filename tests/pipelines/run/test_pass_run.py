"""Which tasks a pass has: small files together, large ones by themselves, and nothing that is made already."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from many_files import make_run, many
from run_digest import digest

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.run.blocks import MadeBlock, MadeUnit, read_block
from pipelines.run.folder import RunFolder
from pipelines.run.opening import Run
from pipelines.run.pass_run import PassRun
from pipelines.run.units import BlockTask, Ran, UnitInput, following
from shards.unit_key import UnitKey


def shown(tasks: list[BlockTask]) -> list[tuple[list[str], bool]]:
    return [([str(unit.key) for unit in task.units], task.follow) for task in tasks]


def tasks_of(run: Run) -> PassRun:
    return PassRun(run, run.recipe.passes()[0], pa.schema([]), [])


def test_small_files_of_one_source_and_snapshot_are_made_together(tmp_path: Path) -> None:
    web = [*many("a", 3, 100), ("b.jsonl", 60_000), *many("c", 2, 100)]
    ark = [*many("CC-MAIN-2024-10-", 2, 100), *many("CC-MAIN-2024-18-", 2, 100)]
    assert shown(tasks_of(make_run(tmp_path, {"web": web, "ark": ark})).todo) == [
        (["web-00000-000", "web-00001-000", "web-00002-000"], True),
        (["web-00003-000"], False),
        (["web-00004-000", "web-00005-000"], True),
        (["ark-00000-000", "ark-00001-000"], True),
        (["ark-00002-000", "ark-00003-000"], True),
    ]


def test_files_of_one_size_are_shared_out_among_some_tasks(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"web": many("a", 640, 150), "ark": many("b", 1, 50)})
    tasks = tasks_of(run).todo
    assert {len(task.units) for task in tasks[:-2]} == {10}
    assert [unit.key.file for task in tasks[:-1] for unit in task.units] == list(range(640))


def made(task: BlockTask, ends: list[int | None], first: int = 0) -> MadeBlock:
    """As if the task had made units that end there, all of its first file."""
    unit, units = task.units[0], list[MadeUnit]()
    for end in ends:
        units.append(MadeUnit(str(unit.key), unit.file.name, unit.start, end, {}, [], 1, 1, 0))
        unit = following(unit, end or 0)
    return MadeBlock("f", tuple(units), {})


def test_a_large_file_is_a_chain_of_tasks(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"web": [("a.jsonl", 90_000)], "ark": many("b", 1, 50)})
    passing = tasks_of(run)
    task = passing.todo[0]
    for part, end in enumerate((70, 140)):
        (task,) = passing.add(Ran(made(task, [end]), {}, ()))
        assert (task.units[0].key, task.units[0].start) == (UnitKey("web", 0, part + 1), end)
    assert passing.add(Ran(made(task, [None]), {}, ())) == []
    assert [str(one.key) for one in passing.made] == ["web-00000-000", "web-00000-001", "web-00000-002"]


def test_what_a_block_has_no_room_for_is_a_task_of_its_own(tmp_path: Path) -> None:
    run = make_run(tmp_path, {"web": [*many("a", 3, 50), ("z.jsonl", 60_000)], "ark": many("b", 1, 50)})
    passing = tasks_of(run)
    task = passing.todo[0]
    (rest,) = passing.add(Ran(made(task, [None]), {}, task.units[1:]))
    assert shown([rest]) == [(["web-00001-000", "web-00002-000"], True)]
    (last,) = passing.add(Ran(made(rest, [None]), {}, rest.units[1:]))
    assert shown([last]) == [(["web-00002-000"], False)]


class Stopped(Exception):
    pass


class Stopping(InProcess):
    """Ends an attempt after some blocks, and counts the tasks that were begun."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.stop_after, self.begun = stop_after, list[str]()

    def map_watched(self, fn: Any, tasks: Any, then: Any = lambda _: (), tick: Any = None) -> Any:
        def counted(task: Any, watch: Any) -> Any:
            if isinstance(task, BlockTask):
                if len(self.begun) == self.stop_after:
                    raise Stopped
                self.begun.append(f"{task.pass_.number} {task.key}")
            return fn(task, watch)

        return super().map_watched(counted, tasks, then, tick)


@pytest.mark.parametrize("lost", [0, 3])
def test_a_resumed_run_makes_the_blocks_that_are_missing(tmp_path: Path, lost: int) -> None:
    sizes = {"web": [*many("a", 20, 500), ("b.jsonl", 3_000), *many("c", 9, 100)], "ark": many("b", 7, 300)}
    calm = make_run(tmp_path / "calm", sizes)
    execute(calm, InProcess(), lambda _: None)
    run = make_run(tmp_path / "again", sizes)
    with pytest.raises(Stopped):
        execute(run, Stopping(stop_after=6), lambda _: None)
    blocks = run.folder.passed_blocks(0)
    assert len(blocks) == 6
    run.folder.delete(RunFolder.pass_manifest(0, blocks[lost]))
    units = read_block(run.folder.path(RunFolder.pass_manifest(0, blocks[1]))).units
    again = Stopping()
    execute(run, again, lambda _: None)
    first_pass = [name for name in again.begun if name.startswith("0 ")]
    assert not {f"0 {unit.key}" for unit in units} & {*first_pass}
    assert f"0 {blocks[lost]}" in first_pass
    there = digest(run.folder.root), digest(calm.folder.root)
    assert there[0].keys() == there[1].keys()
    same = {name for name in there[0] if there[0][name] == there[1][name]}
    # Inputs lie elsewhere, and the recipe says so.
    assert {*there[0]} - same <= {RunFolder.RECIPE}


def test_inputs_of_units_have_a_place_in_their_file() -> None:
    unit = following(UnitInput(UnitKey("web", 3, 0), None, 0), 77)  # type: ignore[arg-type]
    assert (unit.key, unit.start) == (UnitKey("web", 3, 1), 77)
