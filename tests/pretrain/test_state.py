from pathlib import Path

import pytest

from pretrain.state import TrainState, checkpoint_paths, newest_state, read_state, recorded_identity, write_state
from shards.errors import RunError, UserError


def make_checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"step-{step:08d}"
    write_state(path, TrainState(step=step, tokens=10 * step, plan_hash="0", identity={"seed": step}))
    return path


def test_a_checkpoint_exists_when_its_state_does(tmp_path: Path) -> None:
    paths = [make_checkpoint(tmp_path, step) for step in (12, 4)]
    (tmp_path / "step-00000008").mkdir()
    assert checkpoint_paths(tmp_path) == paths[::-1]
    assert read_state(paths[0]).tokens == 120


def test_the_identity_is_of_the_newest_checkpoint_that_is_readable(tmp_path: Path) -> None:
    assert recorded_identity(tmp_path) == {}
    make_checkpoint(tmp_path, 4)
    broken = make_checkpoint(tmp_path, 8)
    (broken / "state.json").write_text('{"step": ')
    assert recorded_identity(tmp_path) == {"seed": 4}
    with pytest.raises(RunError, match=r"step-00000008/state\.json: not readable"):
        read_state(broken)


def test_each_flipped_bit_of_a_state_is_found(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path, 4) / "state.json"
    whole = path.read_bytes()
    for at in range(0, 8 * len(whole), 7):
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        path.write_bytes(flipped)
        with pytest.raises(RunError, match=r"state\.json: not readable"):
            read_state(path.parent)


def test_a_checkpoint_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    path = make_checkpoint(tmp_path, 4)
    (path / "training.pt").touch()
    with pytest.raises(
        UserError, match=r"step-00000004: is of an earlier gristmill; finish .*, or choose another out$"
    ):
        newest_state(tmp_path)
