"""Thresholds from clean text, beside plain statistics of the same text."""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from pipelines.tuning import calibrate
from pipelines.tuning.calibrate import Moments, Value, derive_thresholds, fragment, lines
from shards.errors import UserError

pytestmark = pytest.mark.usefixtures("language_model")


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), max_size=6))
def test_moments_of_parts_are_those_of_the_whole(parts: list[list[float]]) -> None:
    moments = Moments()
    for part in parts:
        moments.add(np.array([*part, np.nan]))
    whole = np.array([value for part in parts for value in part])
    assert moments.n == len(whole)
    if len(whole):
        assert moments.mean == pytest.approx(whole.mean(), abs=1e-6)
        assert moments.sigma == pytest.approx(whole.std(), abs=1e-3)


@pytest.fixture(scope="module")
def russian(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gogol in pieces of 3,000 characters."""
    path = tmp_path_factory.mktemp("ru") / "gogol.jsonl"
    with gzip.open(real_data / "text" / "ru" / "Gogol_Mertvye.txt.gz", "rt", encoding="utf-8") as file:
        text = file.read()
    pieces = [text[i : i + 3000] for i in range(0, len(text), 3000)]
    path.write_text("".join(json.dumps({"text": piece}) + "\n" for piece in pieces))
    return path


def texts_of(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def values(russian: Path) -> dict[str, Value]:
    return {f"{value.stage}.{value.setting}": value for value in derive_thresholds([str(russian)], "ru")}


@pytest.mark.real
def test_stop_words_are_the_words_above_a_share_of_all(values: dict[str, Value], russian: Path) -> None:
    words = [word for text in texts_of(russian) for word in text.split()]
    counts = Counter("".join(c if c.isalnum() else " " for c in word).strip().lower() for word in words)
    common = {word for word, n in counts.items() if n > 0.008 * len(words) and word.isalpha()}
    stop_words = values["gopher_quality.stop_words"].value
    assert isinstance(stop_words, list)
    assert len(stop_words) >= 8
    assert set(stop_words) == common
    assert {"и", "в", "не", "на"} <= common


@pytest.mark.real
def test_word_length_is_mean_and_sigma_over_the_words(values: dict[str, Value], russian: Path) -> None:
    lengths = np.array([len(word) for text in texts_of(russian) for word in text.split()])
    low, high = lengths.mean() - lengths.std(), lengths.mean() + lengths.std()
    assert values["gopher_quality.min_mean_word_length"].value == max(1, np.floor(low))
    assert values["gopher_quality.max_mean_word_length"].value == np.ceil(high)


@pytest.mark.real
def test_the_fragment_runs_and_drops_little_of_the_clean_text(
    values: dict[str, Value], russian: Path, tmp_path: Path
) -> None:
    tables = fragment(values.values(), "ru")
    assert len(list(lines(values.values(), "ru"))) == 1 + len(values)
    assert all("  # " in line for line in tables.splitlines() if line[:4] in ("min_", "max_", "stop"))
    (tmp_path / "recipe.toml").write_text(f'[source.books]\nkind = "jsonl"\n\n{tables}')
    recipe = load_recipe(str(tmp_path / "recipe.toml"), [f"source.paths={russian}"])
    execute(open_run(recipe, tmp_path / "run"), InProcess(), lambda _: None)
    report = json.loads((tmp_path / "run" / "report.json").read_bytes())
    assert report["documents"]["input"] > 100
    assert report["documents"]["kept"] >= 0.9 * report["documents"]["input"]


@pytest.mark.real
def test_clean_text_only_loosens_a_threshold_on_repetition(values: dict[str, Value]) -> None:
    for name, value in values.items():
        if name.startswith(("gopher_repetition", "fineweb")) and isinstance(value.value, float):
            looser = value.value <= value.default if value.setting.startswith("min_") else value.value >= value.default
            assert looser, name


@pytest.mark.real
def test_chinese_is_calibrated_by_words_of_a_segmenter(real_data: Path, tmp_path: Path) -> None:
    with gzip.open(real_data / "text" / "zh" / "chinesewebtext-sample.jsonl.gz", "rt", encoding="utf-8") as file:
        pieces = [json.loads(line)["raw_content"] for line in file]
    (tmp_path / "zh.jsonl").write_text("".join(json.dumps({"text": piece}) + "\n" for piece in pieces))
    thresholds = derive_thresholds([str(tmp_path / "zh.jsonl")], "zh")
    values = {value.setting: value.value for value in thresholds}
    assert [value.stage for value in thresholds if value.setting == "segmented"] == [
        "gopher_repetition",
        "fineweb",
        "gopher_quality",
    ]
    assert "可以" in values["stop_words"]  # type: ignore[operator]
    assert 3 <= values["max_mean_word_length"] <= 5  # type: ignore[operator]
    (tmp_path / "recipe.toml").write_text(f'[source.web]\nkind = "jsonl"\n\n{fragment(thresholds, "zh")}')
    recipe = load_recipe(str(tmp_path / "recipe.toml"))
    assert recipe.resolved()["stage"][-1]["segmented"] is True


def test_too_few_documents_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Мельница мелет медленно, но мука мелкая."}\n' * 99)
    with pytest.raises(UserError, match="99 documents; a σ needs at least 100"):
        derive_thresholds([str(tmp_path)], "ru")


def test_texts_of_another_language_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Мельница мелет медленно, но мука мелкая."}\n' * 100)
    with pytest.raises(UserError, match="takes 0 documents for it, and 100 for others; a σ needs at least 100"):
        derive_thresholds([str(tmp_path)], "zh")


def test_blank_texts_do_not_count_as_documents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match=r"^calibrate: 0 documents; a σ needs at least 100"):
        derive_thresholds([str(tmp_path / "a.txt")], "ru")
    lines = ['{"text": "Мельница мелет медленно."}', *['{"text": " \\n\\u3000"}'] * 200]
    (tmp_path / "b.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"^calibrate: 1 document; "):
        derive_thresholds([str(tmp_path / "b.jsonl")], "ru")


def test_blank_texts_change_no_value(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"Мельница номер {i} мелет медленно, но мука мелкая."}) for i in range(120)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.jsonl").write_text("\n".join([*lines, *['{"text": " "}'] * 200]))
    assert derive_thresholds([str(tmp_path / "a.jsonl")], "ru") == derive_thresholds([str(tmp_path / "b.jsonl")], "ru")


def test_texts_of_other_languages_change_no_value_but_are_counted(tmp_path: Path) -> None:
    russian = [json.dumps({"text": f"Мельница номер {i} мелет медленно, но мука мелкая."}) for i in range(120)]
    english = [json.dumps({"text": f"The mill of the village number {i} grinds slowly and well."}) for i in range(90)]
    (tmp_path / "a.jsonl").write_text("\n".join(russian))
    (tmp_path / "b.jsonl").write_text("\n".join([*english, *russian]))
    alone, mixed = (derive_thresholds([str(tmp_path / name)], "ru") for name in ("a.jsonl", "b.jsonl"))
    assert [value.value for value in mixed] == [value.value for value in alone]
    assert "left out" not in alone[0].reason
    assert mixed[0].reason == alone[0].reason + "; 90 documents of other languages left out"


def test_too_few_documents_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("Мельница мелет медленно.")
    monkeypatch.setattr(calibrate, "Calibration", None)
    with pytest.raises(UserError, match=r"^calibrate: 1 document; "):
        derive_thresholds([str(tmp_path)], "ru")


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("", "--language: empty; name the language"),
        ("rus", "--language: the model has no rus; closest of its 176 languages: .*ru"),
    ],
)
def test_a_language_that_the_model_lacks_is_refused_before_a_text_is_read(language: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        derive_thresholds(["no such file"], language)
