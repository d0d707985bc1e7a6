"""What a run took is read from `seconds.json`, of this version and of older ones."""

from pathlib import Path

from pipelines.report.spent import Spent
from pipelines.run.folder import RunFolder


def test_stages_stand_in_the_order_of_the_run(run: Path) -> None:
    spent = Spent.of(RunFolder(run), ["url", "page", "extract"])
    assert [name for name, _ in spent.stages] == ["read", "url", "page", "extract", "write"]
    assert spent.wall_s is not None
    assert spent.workers == 1
    assert "core" in spent.machine


def test_a_run_of_an_older_version_has_seconds_alone(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert Spent.of(run, ["a"]) == Spent()
    run.write_json(RunFolder.SECONDS, {"read": 1, "a": 2.5, "b": 3.0})
    assert Spent.of(run, ["a"]) == Spent(stages=(("read", 1.0), ("a", 2.5)))
