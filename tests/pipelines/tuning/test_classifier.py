"""Model filters: training is deterministic, mistakes are refused, and scores keep the wanted share."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.run.opening import open_run
from pipelines.tuning import classifier
from pipelines.tuning.classifier import (
    Scored,
    Trained,
    apply_classifier,
    auc,
    num_buckets,
    score_lines,
    train_classifier,
    training_lines,
)
from shards.errors import RunError, UserError
from shards.manifest import file_sha256
from shards.sink import read_table

GOOD, BAD = "explain why water turns stone wheel slowly".split(), "buy cheap ticket click share cart now".split()
BOTH = "the a of in on and with at".split()


def write(path: Path, own: list[str], number: int, seed: int) -> Path:
    """JSON lines of documents of 30 words, a third of them from the class's own."""
    words = random.Random(seed)
    with gzip.open(path, "wt") as file:
        for _ in range(number):
            text = " ".join(words.choice(own if words.random() < 0.3 else BOTH) for _ in range(30))
            file.write(json.dumps({"text": text}) + "\n")
    return path


@pytest.fixture
def examples(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "good.jsonl.gz", GOOD, 300, 1), write(tmp_path / "bad.jsonl.gz", BAD, 400, 2)


def test_a_model_tells_the_classes_apart_on_texts_that_it_has_not_seen(
    examples: tuple[Path, Path], tmp_path: Path
) -> None:
    trained = train_classifier([str(examples[0])], [str(examples[1])], tmp_path / "model.bin", buckets=1000)
    assert (trained.num_positive, trained.num_negative, trained.num_held_out) == (300, 400, 70)
    assert trained.auc > 0.95
    assert trained.precision[0.25] == 1.0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.jsonl.gz", "good.jsonl.gz", "model.bin"]


def test_the_same_texts_give_the_same_bytes_in_whatever_files_and_order(
    examples: tuple[Path, Path], tmp_path: Path
) -> None:
    good, bad = examples
    with gzip.open(good, "rt") as file:
        texts = [json.loads(line)["text"] for line in file]
    texts.reverse()
    (tmp_path / "split").mkdir()
    pq.write_table(pa.table({"text": texts[:100]}), tmp_path / "split" / "a.parquet")
    (tmp_path / "split" / "b.jsonl").write_text("".join(json.dumps({"text": f" {t}\n"}) + "\n" for t in texts[90:]))
    digests = set()
    for number, positive in enumerate((good, good, tmp_path / "split")):
        train_classifier([str(positive)], [str(bad)], tmp_path / f"{number}.bin", buckets=1000)
        digests.add(file_sha256(tmp_path / f"{number}.bin"))
    assert len(digests) == 1


def test_too_few_examples_and_those_of_both_classes_are_refused(examples: tuple[Path, Path], tmp_path: Path) -> None:
    good, bad = map(str, examples)
    (tmp_path / "empty.jsonl").write_text('{"text": " "}\n')
    few = str(write(tmp_path / "few.jsonl.gz", GOOD, 99, 3))
    with pytest.raises(UserError, match="--negative: 0 documents with words"):
        train_classifier([good], [str(tmp_path / "empty.jsonl")], tmp_path / "model.bin")
    with pytest.raises(UserError, match="--positive: 99 documents"):
        train_classifier([few], [bad], tmp_path / "model.bin")
    with pytest.raises(UserError, match="300 texts in both"):
        train_classifier([good], [bad, good], tmp_path / "model.bin")
    (tmp_path / "same.jsonl").write_text('{"text": "one and the same"}\n' * 200)
    with pytest.raises(UserError, match="--positive: 1 different document; "):
        train_classifier([str(tmp_path / "same.jsonl")], [bad], tmp_path / "model.bin")
    assert not (tmp_path / "model.bin").exists()


@pytest.mark.parametrize("buckets", [-1, 0, 1 << 31, 99_999_999_999_999_999_999])
def test_a_number_of_buckets_that_fasttext_cannot_have_is_refused(buckets: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"--buckets {buckets}: expected a number from 1 to 2,147,483,647"):
        train_classifier([], [], tmp_path / "model.bin", buckets=buckets)


def test_buckets_beyond_the_memory_are_refused_with_what_they_need(
    examples: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = map(str, examples)
    monkeypatch.setattr(classifier, "_available_bytes", lambda: 400_000)
    with pytest.raises(UserError, match=r"4 bytes each make 0\.8 GB, and 0\.0 GB .* give at most 1000$"):
        train_classifier([good], [bad], tmp_path / "model.bin", buckets=2_000_000)
    train_classifier([good], [bad], tmp_path / "model.bin", buckets=1000)
    monkeypatch.setattr(classifier, "_available_bytes", lambda: 100_000)
    with pytest.raises(UserError, match=r"of 4 bytes each make"):
        train_classifier([good], [bad], tmp_path / "model.bin")


def test_buckets_follow_the_texts(examples: tuple[Path, Path], tmp_path: Path) -> None:
    assert num_buckets([]) == num_buckets([b"mill"]) == 1
    assert num_buckets([b"the mill stands", b"the mill turns", b"mill stands"]) == 6
    assert num_buckets(b"w%d a w%d b" % (i, i) for i in range(600_000)) == 2_000_000
    train_classifier([str(examples[0])], [str(examples[1])], tmp_path / "model.bin")
    assert (tmp_path / "model.bin").stat().st_size < 2_000_000  # 24 words have 576 bigrams at most


def test_a_model_that_guesses_is_said(tmp_path: Path) -> None:
    trained = Trained(num_positive=354, num_negative=354, num_held_out=72, accuracy=0.5, auc=0.485, precision={})
    assert trained.auc_error == pytest.approx(0.068, abs=0.001)
    said = [*training_lines(tmp_path / "m.bin", trained)]
    assert said[-1].startswith("warning: AUC 0.4850 of 72 held-out texts may be chance (.5): the model does not tell")
    for of_model, warns in ((0.63, True), (0.64, False), (0.99, False)):
        said = [*training_lines(tmp_path / "m.bin", replace(trained, auc=of_model))]
        assert any(line.startswith("warning") for line in said) == warns


def test_the_available_memory_is_less_than_all() -> None:
    assert 1 << 20 < classifier._available_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_an_output_that_cannot_be_written_is_refused_before_a_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for to, message in (
        (tmp_path, "is a folder; name a file in it"),
        (tmp_path / "file" / "model.bin", "cannot be written"),
        (Path("/proc/model.bin"), r"/proc/model\.bin: "),
    ):
        with pytest.raises((UserError, RunError), match=message):
            train_classifier(["no such file"], ["no such file"], to)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("size", ["40k", "300k"])
def test_a_full_disk_is_reported_whether_the_texts_or_the_model_fill_it(
    size: str, examples: tuple[Path, Path], tmp_path: Path
) -> None:
    """fastText writes what fits and reports nothing."""
    good, bad = map(str, examples)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        with pytest.raises(RunError, match=r"model\.bin: the disk is full; free some space"):
            train_classifier([good], [bad], disk / "model.bin", buckets=1000)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_files_of_a_killed_training_are_replaced_by_the_next(examples: tuple[Path, Path], tmp_path: Path) -> None:
    good, bad = map(str, examples)
    to = tmp_path / "out" / "model.bin"
    options = ["--positive", good, "--negative", bad, "--buckets", "1000", "--out", str(to)]
    begun = subprocess.Popen([sys.executable, "-m", "pipelines", "classifier", "train", *options])
    left = to.with_name("model.bin.examples.part")
    deadline = time.monotonic() + 60
    while not left.exists() and time.monotonic() < deadline and begun.poll() is None:
        time.sleep(0.001)
    begun.send_signal(signal.SIGKILL)
    assert begun.wait() == -signal.SIGKILL
    assert list(to.parent.iterdir()) == [left]
    left.write_bytes(b"__label__positive of the killed one\n" * 1000)
    train_classifier([good], [bad], to, buckets=1000)
    train_classifier([good], [bad], tmp_path / "calm.bin", buckets=1000)
    assert list(to.parent.iterdir()) == [to]
    assert file_sha256(to) == file_sha256(tmp_path / "calm.bin")


@pytest.mark.parametrize("outside", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_min_score_that_no_probability_has_is_refused(outside: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^--min-score {outside:g}: expected a score from 0 to 1"):
        apply_classifier(tmp_path / "m", [], label="positive", top=None, min_score=outside, to=None)


def test_apply_refuses_a_model_cut_short(examples: tuple[Path, Path], tmp_path: Path) -> None:
    good, bad = map(str, examples)
    path = tmp_path / "model.bin"
    train_classifier([good], [bad], path, buckets=1000)
    whole = path.stat().st_size
    for num_bytes in (whole - 100, whole // 2):
        os.truncate(path, num_bytes)
        with pytest.raises(UserError, match=f"cut short: {num_bytes:,} of {whole:,} bytes; fetch or train it again"):
            apply_classifier(path, [good], label="positive", top=0.1, min_score=None, to=None)


def test_apply_keeps_the_wanted_share_and_its_fragment_keeps_the_same_in_a_run(
    examples: tuple[Path, Path], tmp_path: Path
) -> None:
    good, bad = map(str, examples)
    train_classifier([good], [bad], tmp_path / "model.bin", buckets=1000)
    scored = apply_classifier(
        tmp_path / "model.bin", [good, bad], label="positive", top=0.25, min_score=None, to=tmp_path / "scores"
    )
    scores = read_table(tmp_path / "scores" / "scores.arrow")
    values = np.array(scores["score"].to_pylist())
    assert (scored.num_texts, scored.num_blank, scored.num_kept) == (700, 0, 175)
    assert np.count_nonzero(values >= scored.min_score) == 175
    again = apply_classifier(
        tmp_path / "model.bin", [good, bad], label="positive", top=None, min_score=scored.min_score, to=None
    )
    assert again == scored

    stage = (tmp_path / "scores" / "stage.toml").read_text()
    recipe = '[source.web]\nkind = "jsonl"\n\n'
    (tmp_path / "by_score.toml").write_text(recipe + stage)
    top = '[[stage]]\nkind = "top_share"\nmetric = "classifier.score"\nkept_fraction = 0.25\n'
    fragment = tomllib.loads(stage)["stage"][0]
    (tmp_path / "by_share.toml").write_text(
        f'{recipe}[[stage]]\nkind = "classifier"\nmodel = "{fragment["model"]}"\n\n{top}'
    )
    kept = []
    for name in ("by_score", "by_share"):
        opened = load_recipe(
            str(tmp_path / f"{name}.toml"), [f'source.paths=["{good}", "{bad}"]', "output.dropped_per_rule=0"]
        )
        execute(open_run(opened, tmp_path / name), InProcess(), lambda _: None)
        shards = [read_table(path) for path in (tmp_path / name / "shards").rglob("*.arrow")]
        kept.append({text for shard in shards for text in shard["text"].to_pylist()})
        assert all(score >= scored.min_score for s in shards for score in s["classifier.score"].to_pylist())
    assert kept[0] == kept[1]
    assert len(kept[0]) == 175
    report = json.loads((tmp_path / "by_share" / "report.json").read_bytes())
    assert report["dropped"] == {"top_share.below_top": 525}
    assert [entry["stage"] for entry in report["duplicates"]["stages"]] == ["same_record"]


def test_apply_wants_one_threshold(examples: tuple[Path, Path], tmp_path: Path) -> None:
    for top, min_score in ((None, None), (0.1, 0.5)):
        with pytest.raises(UserError, match="either --top or --min-score"):
            apply_classifier(
                tmp_path / "m", [str(examples[0])], label="positive", top=top, min_score=min_score, to=None
            )


@given(st.lists(st.sampled_from([0.0, 0.5, 0.7, 1.0]), min_size=1), st.lists(st.floats(0, 1), min_size=1))
def test_auc_is_the_share_of_pairs_in_order(positive: list[float], negative: list[float]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p, n in product(positive, negative)]
    assert auc(np.array(positive), np.array(negative)) == pytest.approx(sum(pairs) / len(pairs))


def test_lines_agree_in_number_and_name_texts_without_a_score(tmp_path: Path) -> None:
    scored = Scored(num_texts=5, num_blank=1, quantiles={0.5: 0.25}, min_score=0.5, num_kept=1)
    assert list(score_lines(scored)) == [
        "p50: 0.250000",
        "min_score 0.5 keeps 1 of 4 (25.0%)",
        "texts without words, which get no score: 1",
    ]
    trained = classifier.Trained(200, 300, num_held_out=1, accuracy=1.0, auc=0.75, precision={0.1: 1.0})
    assert list(training_lines(tmp_path, trained)) == [
        f"wrote {tmp_path}: 200 positive and 300 negative texts",
        "of 1 held-out text: accuracy 1.0000, AUC 0.7500",
        "of the best 10%: 100.0% are positive",
    ]
