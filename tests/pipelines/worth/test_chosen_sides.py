"""The sides that a user names, and what does not go together."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.worth.chosen_sides import chosen_sides
from pipelines.worth.token_sides import TokenSides
from shards.errors import UserError


def chosen(out: Path, tokenizer: Path | None = None, run: Path | None = None, **more: Any) -> TokenSides:
    values = {"named": {}, "left_out": [], "held_out": 0.3, "texts": [], "text_key": "text", "say": lambda line: None}
    values |= more
    return chosen_sides(run, values.pop("named"), values.pop("left_out"), out, tokenizer=tokenizer, **values)


def test_a_side_without_a_rule_keeps_what_the_rule_drops(run: Path, tokenizer: Path, tmp_path: Path) -> None:
    sides = chosen(tmp_path, tokenizer, run, left_out=["gopher_quality.too_few_words"])
    assert list(sides.train) == ["clean", "without-gopher_quality.too_few_words"]
    clean, without = (sides.num_tokens(name) for name in sides.train)
    assert without > clean > 0


def test_runs_and_token_folders_are_sides(run: Path, tokens: Path, tokenizer: Path, tmp_path: Path) -> None:
    assert list(chosen(tmp_path, tokenizer, named={"raw": run, "clean": run}).train) == ["raw", "clean"]
    assert list(chosen(tmp_path, named={"a": tokens / "en", "b": tokens / "ru"}).train) == ["a", "b"]


def test_what_does_not_go_together_is_one_line(run: Path, tokens: Path, tokenizer: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--leave-out nothing: no rule of .* gopher_quality.too_few_words"):
        chosen(tmp_path, tokenizer, run, left_out=["nothing"])
    with pytest.raises(UserError, match="names a rule of RUN; name the run first"):
        chosen(tmp_path, left_out=["gopher_quality.too_few_words"])
    with pytest.raises(UserError, match=r"side b: .* is a token folder beside a run"):
        chosen(tmp_path, tokenizer, named={"a": run, "b": tokens / "en"})
    with pytest.raises(UserError, match="token folders bring theirs"):
        chosen(tmp_path, tokenizer, named={"a": tokens / "ru", "b": tokens / "en"})
    with pytest.raises(UserError, match="side clean: stands twice"):
        chosen(tmp_path, tokenizer, run, named={"clean": run})
    with pytest.raises(UserError, match="expected a fraction between 0 and 1"):
        chosen(tmp_path, tokenizer, run, held_out=1.0)
