"""A run of a situation of `tests/cases`: its folder is copied, run in this process, and read back."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.build import summary
from pipelines.report.last_lines import lines
from pipelines.run.folder import RunFolder
from pipelines.run.opening import open_run
from shards.sink import read_batches

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class CaseRun:
    folder: RunFolder

    def rows(self) -> list[dict[str, Any]]:
        """The kept documents in the order of their shards."""
        files = sorted((self.folder.root / RunFolder.SHARDS).rglob("*.arrow"))
        return [row for file in files for batch in read_batches(file) for row in batch.to_pylist()]

    def texts(self) -> dict[str, str]:
        """The kept text of each address."""
        return {row["url"]: row["text"] for row in self.rows()}

    def dropped(self) -> dict[str, int]:
        """Documents by drop reason."""
        return dict(summary(self.folder.root).dropped)

    def lines(self) -> list[str]:
        """What the command prints at the end of a run."""
        return [str(line) for line in lines(self.folder.root)]


def copy_case(name: str, to: Path) -> Path:
    """The folder of the situation whose name begins with `name`, copied into `to`, which must be empty."""
    (folder,) = CASES.glob(f"{name}-*")
    shutil.copytree(folder, to, dirs_exist_ok=True)
    return to


def run_case(folder: Path, *settings: str, recipe: str = "recipe.toml", out: str = "out") -> CaseRun:
    """Run `recipe` of `folder`, which must be the working directory, with `--set` settings."""
    assert Path.cwd() == folder
    run = open_run(load_recipe(recipe, settings), folder / out)
    execute(run, InProcess(), lambda _: None)
    return CaseRun(run.folder)
