from pathlib import Path

import pytest

from pretrain.state import TrainState, checkpoint_paths, read_state, recorded_identity
from shards.errors import RunError


def write_state(folder: Path, step: int, text: str | None = None) -> Path:
    state = TrainState(step=step, tokens=10 * step, plan_hash="0", identity={"seed": step})
    path = folder / f"step-{step:08d}"
    path.mkdir()
    (path / "state.json").write_text(state.model_dump_json() if text is None else text)
    return path


def test_a_checkpoint_exists_when_its_state_does(tmp_path: Path) -> None:
    paths = [write_state(tmp_path, step) for step in (12, 4)]
    (tmp_path / "step-00000008").mkdir()
    assert checkpoint_paths(tmp_path) == paths[::-1]
    assert read_state(paths[0]).tokens == 120


def test_the_identity_is_of_the_newest_checkpoint_that_is_readable(tmp_path: Path) -> None:
    assert recorded_identity(tmp_path) == {}
    write_state(tmp_path, 4)
    broken = write_state(tmp_path, 8, '{"step": ')
    assert recorded_identity(tmp_path) == {"seed": 4}
    with pytest.raises(RunError, match=r"step-00000008/state\.json: not readable"):
        read_state(broken)
