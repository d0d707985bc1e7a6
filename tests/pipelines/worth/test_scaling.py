"""A grid that is planned and trained within a budget, and the lines of fits and predictions."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from pipelines.worth import scaling
from pipelines.worth.scaling import Training, fit_lines, models, predict_lines, read_grid, run_grid
from pretrain.presets import layer_parameters
from pretrain.scaling_law import Law
from shards.errors import UserError

PLANTED = Law(E=1.0, A=20.0, B=300.0, alpha=0.4, beta=0.4)
GRID = [
    Training(n, d, float(PLANTED.loss(n, d))) for n in (10_000, 30_000, 90_000) for d in (100_000, 400_000, 1_600_000)
]


def text(lines: object) -> str:
    return "\n".join(map(str, lines))  # type: ignore[call-overload]


def test_a_grid_is_trained_within_a_budget_and_resumed(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "_SIZES", ((16, 1), (32, 1), (48, 1)))
    monkeypatch.setattr(scaling, "models", lambda: models(scaling._SIZES))
    monkeypatch.setattr(scaling, "_LENGTHS", (1, 2, 3))
    monkeypatch.setattr(scaling, "_MIN_STEPS", 1)
    monkeypatch.setattr(scaling, "MAX_EPOCHS", 0.4)
    said: list[str] = []
    grid = run_grid(tokens / "en", tmp_path, 60, said.append)
    assert len(grid) == 9
    assert said[0].startswith("9 trainings: 3 sizes")
    by_size = {n: [t.loss for t in grid if t.parameters == n] for n in {t.parameters for t in grid}}
    assert all(losses[-1] < losses[0] for losses in by_size.values())
    written = (tmp_path / "grid.json").read_bytes()
    assert run_grid(tokens / "en", tmp_path, 60, said.append) == grid == read_grid(tmp_path)
    assert (tmp_path / "grid.json").read_bytes() == written
    with pytest.raises(UserError, match="holds a grid of other tokens or another budget"):
        run_grid(tokens / "ru", tmp_path, 60, said.append)
    with pytest.raises(UserError, match=r"--budget 1e-05: is enough for trainings of \d+ tokens"):
        run_grid(tokens / "en", tmp_path / "small", 1e-5, said.append)


def test_the_sizes_grow() -> None:
    counts = [layer_parameters(model) for model in models()]
    assert all(2 < b / a < 4 for a, b in pairwise(counts))
    assert all(model["width"] % (2 * model["num_heads"]) == 0 for model in models())


def test_a_fit_is_told_with_the_largest_training_left_out() -> None:
    found = text(fit_lines(GRID))
    assert "the largest training, 90,000 parameters and 1,600,000 tokens" in found
    assert ": within" in found


def test_a_best_size_and_a_loss_are_predicted() -> None:
    best, _ = PLANTED.best_size(1e15)
    found = text(predict_lines(GRID, parameters=None, tokens=None, flops=1e15))
    assert f"the loss is least at {float(f'{best:.3g}'):,.0f} parameters" in found
    assert "an extrapolation" in found
    assert f"{float(PLANTED.loss(3e4, 4e5)):.4f}" in text(predict_lines(GRID, parameters=3e4, tokens=4e5, flops=None))


def test_what_is_no_grid_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"grid.json: cannot be read"):
        read_grid(tmp_path)
    for content in ("{}", "no json", json.dumps([{"parameters": 1}]), json.dumps([])):
        (tmp_path / "grid.json").write_text(content)
        with pytest.raises(UserError, match="expected a list of tables with parameters, tokens and loss"):
            read_grid(tmp_path)
    with pytest.raises(UserError, match="too small to fit"):
        list(fit_lines(GRID[:4]))
