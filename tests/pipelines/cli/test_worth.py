"""Commands that say what cleaning is worth: what they refuse, in one line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.cli.worth import _named
from shards.errors import UserError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ablate", "run"], "give either --tokens of each training or --budget in minutes"),
        (["ablate", "--raw", "a", "--clean", "b", "--tokens", "9", "--held-out", "2"], "expected a fraction"),
        (["suspects", "model"], "name a training and a run, or a judged sample by --judged"),
        (["scaling", "predict", "grid.json", "--flops", "-1"], "give either --parameters and --tokens, or --flops"),
        (["scaling", "fit", "grid.json"], "grid.json: cannot be read"),
    ],
)
def test_what_is_missing_is_one_line(words: list[str], message: str) -> None:
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_sides_have_names_that_stand_once() -> None:
    assert _named(Path("a"), Path("b"), ["c=d/e"]) == {"raw": Path("a"), "clean": Path("b"), "c": Path("d/e")}
    for option in ("raw=x", "x", "=x"):
        with pytest.raises(UserError, match="expected NAME=PATH, each name once"):
            _named(Path("a"), None, [option])


def test_a_law_is_fitted_and_predicts(tmp_path: Path) -> None:
    grid = [
        {"parameters": n, "tokens": d, "loss": 1 + 20 / n**0.4 + 300 / d**0.4}
        for n in (10_000, 30_000, 90_000)
        for d in (100_000, 400_000, 1_600_000)
    ]
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    result = CliRunner().invoke(app, ["scaling", "predict", str(tmp_path), "--parameters", "3e4", "--tokens", "4e5"])
    assert result.exception is None
    assert "30,000 parameters, 400,000 tokens" in result.output
