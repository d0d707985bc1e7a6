"""Ablations of a very small model: equal sides show nothing, unequal ones do, and a rerun trains nothing anew."""

import json
from pathlib import Path

import pytest
from corpus import make_texts, write_shard

from pipelines.worth import ablate as ablation
from pipelines.worth.ablate import Ablation, Law, ablate, fit_to_budget, plan_lines
from pipelines.worth.ablation_page import lines, write_page
from pipelines.worth.token_sides import TokenSides, evaluation_texts, of_token_folders
from pretrain.tokenizing.tokenize import tokenize_shards
from shards.errors import UserError

TINY = {"width": 32, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "feed_forward_width": 64}
LAW = Law(TINY, tokens=12_000, num_seeds=3, sequence_length=64, batch_size=8, lr=1e-2)


def run(sides: TokenSides, out: Path, law: Law = LAW) -> tuple[Ablation, list[str]]:
    said: list[str] = []
    return ablate(sides, law, out, said.append, lambda record: None), said


def test_equal_sides_have_an_interval_of_some_width_that_covers_zero(tokens: Path, tmp_path: Path) -> None:
    """They get other seeds on each side, or they would be the same trainings."""
    result, said = run(of_token_folders({"a": tokens / "en", "b": tokens / "en"}), tmp_path)
    assert result.seeds == {"a": [0, 1, 2], "b": [1000, 1001, 1002]}
    assert len(said) == 6
    (effect,) = result.effects[result.headline]
    assert effect.whole.low < 0 < effect.whole.high
    assert effect.over_documents.high > effect.over_documents.low
    assert effect.over_seeds.high > effect.over_seeds.low
    assert effect.winner is None
    page = write_page(result, tmp_path).read_text()
    assert "b is better" not in page
    assert "a is better" not in page
    assert "no difference is shown" in page
    assert not any(outside in page for outside in ("<script", "<img", 'http-equiv="refresh', "@import", "src="))


def test_a_side_in_another_language_loses_and_a_rerun_trains_nothing(
    tokens: Path, tokenizer: Path, tmp_path: Path
) -> None:
    write_shard(tmp_path / "shards" / "web" / "web-00000-000.arrow", make_texts("en", 300)[150:])
    tokenize_shards([tmp_path], tokenizer, tmp_path / "more", held_out_fraction=0.1, report=lambda line: None)
    texts = tmp_path / "gold.jsonl"
    texts.write_text("".join(json.dumps({"text": f"{i} {text}"}) + "\n" for i, text in enumerate(make_texts("en", 30))))
    sides = of_token_folders({"ru": tokens / "ru", "en": tokens / "en"})
    sides = TokenSides(sides.train, [*sides.sets, evaluation_texts(texts, "text", tmp_path, tokenizer)])
    result, _ = run(sides, tmp_path / "out")
    assert result.seeds["ru"] == result.seeds["en"]
    assert result.headline == "evaluation: gold"
    (effect,) = result.effects[result.headline]
    assert effect.winner == "en"
    assert "en is better" in "\n".join(line for line in lines(result) if isinstance(line, str))
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    written = (tmp_path / "out" / "ablation.json").read_bytes()
    (tmp_path / "out" / "ablation.json").unlink()
    run(sides, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")} == files
    assert (tmp_path / "out" / "ablation.json").read_bytes() == written
    with pytest.raises(UserError, match="holds an ablation of other texts or settings"):
        run(sides, tmp_path / "out", Law(TINY, 6_000, 3, 64, 8))


def test_the_neutral_set_has_the_held_out_texts_of_both_sides_with_equal_weight(tokens: Path, tmp_path: Path) -> None:
    sides = of_token_folders({"ru": tokens / "ru", "en": tokens / "en"})
    result, _ = run(sides, tmp_path, Law(TINY, 1_000, 1, 64, 8))
    of = {name: scores.table for name, scores in result.sets.items()}
    assert list(of) == ["neutral", "ru held out", "en held out"]
    assert of["neutral"] == pytest.approx((of["ru held out"] + of["en held out"]) / 2)
    assert result.effects["neutral"][0].winner is None  # of one seed
    assert "with one seed, which shows nothing" in write_page(result, tmp_path).read_text()


def test_what_a_budget_can_show_is_said_before(tokens: Path, tmp_path: Path) -> None:
    sides = of_token_folders({"ru": tokens / "ru", "en": tokens / "en"})
    law, seconds = fit_to_budget(sides, LAW, 600, tmp_path, lambda record: None)
    assert law.tokens == ablation.most_tokens(sides)  # ten hours are enough for all of it
    assert law.sequence_length == LAW.sequence_length
    assert law.num_seeds == LAW.num_seeds
    first, second = plan_lines(sides, law, seconds)
    assert first.startswith(f"6 trainings of {law.steps} steps")
    assert "the smallest effect that this can show" in second
    with pytest.raises(UserError, match=r"--budget 1e-05: is enough for 0 steps"):
        fit_to_budget(sides, LAW, 1e-5, tmp_path, lambda record: None)


def test_sides_that_are_too_small_or_alone_are_one_line(tokens: Path, tmp_path: Path) -> None:
    sides = of_token_folders({"ru": tokens / "ru", "en": tokens / "en"})
    with pytest.raises(UserError, match=r"more than 4; give --tokens \d+ or less"):
        run(sides, tmp_path, Law(TINY, 10_000_000, 1, 64, 8))
    with pytest.raises(UserError, match="name a second one"):
        run(of_token_folders({"ru": tokens / "ru"}), tmp_path)
