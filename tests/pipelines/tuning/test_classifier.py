import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
import tomllib
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
from pipelines.tuning import classifier as classify
from pipelines.tuning.classifier import apply, auc, train
from pipelines.tuning.inputs import given_texts
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
    made = train([str(examples[0])], [str(examples[1])], tmp_path / "model.bin", buckets=1000)
    assert (made.num_positive, made.num_negative, made.num_held_out) == (300, 400, 70)
    assert made.auc > 0.95
    assert made.precision[0.25] == 1.0
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
        train([str(positive)], [str(bad)], tmp_path / f"{number}.bin", buckets=1000)
        digests.add(file_sha256(tmp_path / f"{number}.bin"))
    assert len(digests) == 1


def test_examples_that_teach_nothing_are_refused(examples: tuple[Path, Path], tmp_path: Path) -> None:
    good, bad = map(str, examples)
    (tmp_path / "empty.jsonl").write_text('{"text": " "}\n')
    few = str(write(tmp_path / "few.jsonl.gz", GOOD, 99, 3))
    with pytest.raises(UserError, match="--negative: 0 documents with words"):
        train([good], [str(tmp_path / "empty.jsonl")], tmp_path / "model.bin")
    with pytest.raises(UserError, match="--positive: 99 documents"):
        train([few], [bad], tmp_path / "model.bin")
    with pytest.raises(UserError, match="300 texts are in both"):
        train([good], [bad, good], tmp_path / "model.bin")
    (tmp_path / "same.jsonl").write_text('{"text": "one and the same"}\n' * 200)
    with pytest.raises(UserError, match="--positive: 1 different documents"):
        train([str(tmp_path / "same.jsonl")], [bad], tmp_path / "model.bin")
    assert not (tmp_path / "model.bin").exists()


@pytest.mark.parametrize("buckets", [-1, 0, 1 << 31, 99_999_999_999_999_999_999])
def test_a_number_of_buckets_that_fasttext_cannot_have_is_refused(buckets: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"--buckets {buckets}: expected a number from 1 to 2,147,483,647"):
        train([], [], tmp_path / "model.bin", buckets=buckets)


def test_buckets_beyond_the_memory_are_refused_with_what_they_need(
    examples: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = map(str, examples)
    monkeypatch.setattr(classify, "_available_bytes", lambda: 400_000)
    with pytest.raises(UserError, match=r"4 bytes each make 0\.8 GB, and 0\.0 GB .* give at most 1000$"):
        train([good], [bad], tmp_path / "model.bin")
    train([good], [bad], tmp_path / "model.bin", buckets=1000)


def test_the_available_memory_is_less_than_all() -> None:
    assert 1 << 20 < classify._available_bytes() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_place_that_no_model_can_be_written_to_is_told_before_a_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for to, told in (
        (tmp_path, "is a folder; name a file in it"),
        (tmp_path / "file" / "model.bin", "cannot be written"),
        (Path("/proc/model.bin"), r"/proc/model\.bin: "),
    ):
        with pytest.raises((UserError, RunError), match=told):
            train(["no such file"], ["no such file"], to)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("size", ["40k", "300k"])
def test_a_full_disk_is_told_whether_the_texts_or_the_model_fill_it(
    size: str, examples: tuple[Path, Path], tmp_path: Path
) -> None:
    """fastText writes what fits and says nothing."""
    good, bad = map(str, examples)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        with pytest.raises(RunError, match=r"model\.bin: the disk is full; free some space"):
            train([good], [bad], disk / "model.bin", buckets=1000)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_a_killed_training_leaves_is_replaced_by_the_next(examples: tuple[Path, Path], tmp_path: Path) -> None:
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
    train([good], [bad], to, buckets=1000)
    train([good], [bad], tmp_path / "calm.bin", buckets=1000)
    assert list(to.parent.iterdir()) == [to]
    assert file_sha256(to) == file_sha256(tmp_path / "calm.bin")


@pytest.mark.parametrize("outside", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_min_score_that_no_probability_has_is_refused(outside: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^--min-score {outside:g}: expected a score from 0 to 1"):
        apply(tmp_path / "m", [], label="positive", top=None, min_score=outside, to=None)


def test_apply_refuses_a_model_cut_short(examples: tuple[Path, Path], tmp_path: Path) -> None:
    good, bad = map(str, examples)
    path = tmp_path / "model.bin"
    train([good], [bad], path, buckets=1000)
    whole = path.stat().st_size
    for num_bytes in (whole - 100, whole // 2):
        os.truncate(path, num_bytes)
        with pytest.raises(UserError, match=f"cut short: {num_bytes:,} of {whole:,} bytes; fetch or train it again"):
            apply(path, [good], label="positive", top=0.1, min_score=None, to=None)


def test_apply_keeps_the_wanted_share_and_its_fragment_keeps_the_same_in_a_run(
    examples: tuple[Path, Path], tmp_path: Path
) -> None:
    good, bad = map(str, examples)
    train([good], [bad], tmp_path / "model.bin", buckets=1000)
    found = apply(
        tmp_path / "model.bin", [good, bad], label="positive", top=0.25, min_score=None, to=tmp_path / "scores"
    )
    scores = read_table(tmp_path / "scores" / "scores.arrow")
    values = np.array(scores["score"].to_pylist())
    assert (found.num_texts, found.num_blank, found.num_kept) == (700, 0, 175)
    assert np.count_nonzero(values >= found.min_score) == 175
    again = apply(tmp_path / "model.bin", [good, bad], label="positive", top=None, min_score=found.min_score, to=None)
    assert again == found

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
        assert all(score >= found.min_score for s in shards for score in s["classifier.score"].to_pylist())
    assert kept[0] == kept[1]
    assert len(kept[0]) == 175
    report = json.loads((tmp_path / "by_share" / "report.json").read_bytes())
    assert report["dropped"] == {"top_share.below_top": 525}
    assert [entry["stage"] for entry in report["duplicates"]["stages"]] == ["same_record"]


def test_apply_wants_one_bound(examples: tuple[Path, Path], tmp_path: Path) -> None:
    for top, min_score in ((None, None), (0.1, 0.5)):
        with pytest.raises(UserError, match="either --top or --min-score"):
            apply(tmp_path / "m", [str(examples[0])], label="positive", top=top, min_score=min_score, to=None)


@given(st.lists(st.sampled_from([0.0, 0.5, 0.7, 1.0]), min_size=1), st.lists(st.floats(0, 1), min_size=1))
def test_auc_is_the_share_of_pairs_in_order(positive: list[float], negative: list[float]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p, n in product(positive, negative)]
    assert auc(np.array(positive), np.array(negative)) == pytest.approx(sum(pairs) / len(pairs))


def test_texts_are_read_by_the_end_of_their_name_and_a_broken_file_is_not_read_in_part(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n')
    pq.write_table(pa.table({"text": ["three"]}), tmp_path / "c.parquet")
    (tmp_path / "d.doc").write_text("none")
    found = [text for batch in given_texts([str(tmp_path)], "here") for text in batch["text"].to_pylist()]
    assert found == ["one", "two", "three"]
    with pytest.raises(UserError, match=r"here: .*d\.doc: expected a file that ends in"):
        list(given_texts([str(tmp_path / "d.doc")], "here"))
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n{"text": ')
    with pytest.raises(RunError, match=r"b\.jsonl: offset 16"):
        list(given_texts([str(tmp_path)], "here"))
