import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpus import decode, make_texts, write_shard

from pipelines.executors import InProcess, ProcessPool
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.tokenizing.tokenizer_training import train_tokenizer
from shards.errors import RunError, UserError
from shards.lock import locked
from shards.sink import ArrowSink, read_batches
from shards.token_manifest import verify_tokens
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments


def tokenize(run: Path, tokenizer: Path, out: Path, held_out: float = 0.1) -> list[str]:
    lines: list[str] = []
    tokenize_shards([run], tokenizer, out, held_out_fraction=held_out, report=lines.append)
    return lines


def texts_of(run: Path, source: str) -> dict[str, str]:
    files = sorted((run / "shards" / source).glob("*.arrow"))
    rows = [row for file in files for batch in read_batches(file) for row in batch.to_pylist()]
    return {row["id"]: row["text"] for row in rows}


def test_each_document_stands_once_with_its_bytes_and_its_text(
    run_folder: Path, tokens: Path, tokenizer_path: Path
) -> None:
    tokenizer = Tokenizer(tokenizer_path)
    texts: dict[str, str] = {}
    for split in (TRAIN, HELD_OUT):
        documents = TokenDocuments(tokens / "ru", split)
        assert len(documents)
        for i in range(len(documents)):
            ids = documents.tokens(i, 0, int(documents.num_tokens[i]))
            assert (ids[0], ids[-1]) == (tokenizer.bos, tokenizer.eos)
            origin = documents.provenance(i)
            assert origin.id not in texts
            assert (origin.source, origin.url) == ("ru", f"https://mill.example/{origin.id}")
            texts[origin.id] = decode(tokenizer, ids[1:-1])
            assert documents.num_bytes[i] == len(texts[origin.id].encode())
    assert texts == texts_of(run_folder, "ru")


def test_tokens_are_views_of_the_mapped_file(tokens: Path) -> None:
    documents = TokenDocuments(tokens / "en", TRAIN)
    first, second = documents.tokens(0, 0, 3), documents.tokens(0, 0, 3)
    assert first.dtype == np.uint16
    assert np.shares_memory(first, second)
    assert not first.flags.owndata


def test_a_document_stays_held_out_whatever_else_is_tokenized(tmp_path: Path, tokenizer_path: Path) -> None:
    texts = make_texts("en", 150)
    write_shard(tmp_path / "a" / "en" / "x.arrow", texts)
    write_shard(tmp_path / "b" / "en" / "y.arrow", texts[::-1][:100])
    held_out = []
    for run in ("a", "b"):
        tokenize(tmp_path / run, tokenizer_path, tmp_path / "tokens" / run)
        documents = TokenDocuments(tmp_path / "tokens" / run / "en", HELD_OUT)
        held_out.append({documents.provenance(i).id for i in range(len(documents))})
    assert held_out[1] < held_out[0]
    assert 5 <= len(held_out[0]) <= 30


def test_finished_shards_are_not_made_again_and_changed_ones_are(tmp_path: Path, tokenizer_path: Path) -> None:
    for name in "ab":
        write_shard(tmp_path / "run" / "en" / f"{name}.arrow", make_texts("en", 20))
    out = tmp_path / "tokens"
    tokenize(tmp_path / "run", tokenizer_path, out)
    made = {name: (out / "en" / TRAIN / f"{name}.arrow").stat().st_mtime_ns for name in "ab"}
    write_shard(tmp_path / "run" / "en" / "b.arrow", make_texts("ru", 20))
    tokenize(tmp_path / "run", tokenizer_path, out)
    again = {name: (out / "en" / TRAIN / f"{name}.arrow").stat().st_mtime_ns for name in "ab"}
    assert again["a"] == made["a"]
    assert again["b"] > made["b"]


def test_another_tokenizers_folder_is_refused(tmp_path: Path, run_folder: Path, tokenizer_path: Path) -> None:
    tokenize(run_folder, tokenizer_path, tmp_path / "tokens")
    train_tokenizer([run_folder], tmp_path / "other.json", vocab_size=280, sample_bytes=10_000)
    with pytest.raises(UserError, match="another tokenizer"):
        tokenize(run_folder, tmp_path / "other.json", tmp_path / "tokens")


def test_an_unfinished_or_damaged_folder_is_not_trained_on(
    tmp_path: Path, run_folder: Path, tokenizer_path: Path
) -> None:
    out = tmp_path / "tokens"
    tokenize(run_folder, tokenizer_path, out)
    with pytest.raises(UserError, match=r"several sources; name one of .*en, .*ru"):
        TokenDocuments(out, TRAIN)
    shard = next((out / "en" / TRAIN).glob("*.arrow"))
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(RunError, match=r"expected .* bytes"):
        TokenDocuments(out / "en", TRAIN)
    (out / "en" / "manifest.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        TokenDocuments(out / "en", TRAIN)


def test_two_shards_of_one_name_are_refused(tmp_path: Path, tokenizer_path: Path) -> None:
    paths = [write_shard(tmp_path / run / "en" / "a.arrow", ["text"]) for run in ("one", "two")]
    with pytest.raises(UserError, match="same source and name"):
        tokenize_shards(paths, tokenizer_path, tmp_path / "out", held_out_fraction=0, report=lambda line: None)


def test_an_empty_shard_and_an_empty_text_are_tokenized(tmp_path: Path, tokenizer_path: Path) -> None:
    write_shard(tmp_path / "run" / "en" / "a.arrow", [])
    write_shard(tmp_path / "run" / "en" / "b.arrow", ["", "text"])
    tokenize(tmp_path / "run", tokenizer_path, tmp_path / "tokens", held_out=0)
    documents = TokenDocuments(tmp_path / "tokens" / "en", TRAIN)
    assert documents.num_bytes.tolist() == [0, 4]
    assert documents.num_tokens[0] == 2


def ids_of(folder: Path, split: str) -> set[str]:
    documents = TokenDocuments(folder, split)
    return {documents.provenance(i).id for i in range(len(documents))}


def test_another_held_out_fraction_in_one_folder_is_refused(tmp_path: Path, tokenizer_path: Path) -> None:
    """With two fractions a document of both shards would be trained on from one and held out in the other."""
    texts, out = make_texts("en", 100), tmp_path / "tokens"
    write_shard(tmp_path / "s1" / "en" / "x.arrow", texts)
    write_shard(tmp_path / "s2" / "en" / "y.arrow", texts[::-1])
    tokenize(tmp_path / "s1", tokenizer_path, out, held_out=0.1)
    with pytest.raises(UserError, match=r"holds tokens with 0\.1 held out, not 0\.5"):
        tokenize(tmp_path / "s2", tokenizer_path, out, held_out=0.5)
    assert ids_of(out / "en", TRAIN), "a refused call leaves the folder as it was"
    files = [tmp_path / "s1" / "en" / "x.arrow", tmp_path / "s2" / "en" / "y.arrow"]
    tokenize_shards(files, tokenizer_path, out, held_out_fraction=0.1, report=lambda line: None)
    train, held_out = ids_of(out / "en", TRAIN), ids_of(out / "en", HELD_OUT)
    assert train
    assert held_out
    assert not train & held_out


def test_shards_of_earlier_calls_are_left_out_and_named(tmp_path: Path, tokenizer_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "tokens"
    for name, part in (("a", slice(0, 20)), ("b", slice(20, 40))):
        write_shard(run / "en" / f"{name}.arrow", make_texts("en", 40)[part])
    tokenize(run, tokenizer_path, out, held_out=0)
    (run / "en" / "a.arrow").rename(tmp_path / "a.arrow")
    lines = tokenize(run, tokenizer_path, out, held_out=0)
    assert lines[-1].startswith("en: left out 1 shard that earlier calls made and this one does not name: a;")
    assert len(TokenDocuments(out / "en", TRAIN)) == 20
    (tmp_path / "a.arrow").rename(run / "en" / "a.arrow")
    made = (out / "en" / TRAIN / "a.arrow").stat().st_mtime_ns
    assert len(tokenize(run, tokenizer_path, out, held_out=0)) == 2
    assert len(TokenDocuments(out / "en", TRAIN)) == 40
    assert (out / "en" / TRAIN / "a.arrow").stat().st_mtime_ns == made


def test_two_processes_do_not_tokenize_into_one_folder(tmp_path: Path, run_folder: Path, tokenizer_path: Path) -> None:
    with locked(tmp_path / "en"), pytest.raises(UserError, match="another gristmill works in this folder"):
        tokenize(run_folder, tokenizer_path, tmp_path)


def overwrite(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\x07" * 400
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("train/en-00000-000.arrow", overwrite),
        ("held-out/en-00001-000.arrow", overwrite),
        ("train/en-00000-000.arrow", truncate),
        ("train/en-00000-000.arrow", Path.unlink),
        ("manifest.json", truncate),
        ("manifests/en-00000-000.json", truncate),
    ],
)
def test_damage_is_found_and_the_same_command_mends_it(
    tmp_path: Path, tokens: Path, run_folder: Path, tokenizer_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(tokens / "en", tmp_path / "en")
    verify_tokens(tmp_path / "en")
    digest = TokenDocuments(tmp_path / "en", TRAIN).digest
    damage(tmp_path / "en" / name)
    if not name.startswith("manifests/"):
        with pytest.raises(RunError, match=rf"{name}.*run the same `gristmill tokenize` again") as error:
            verify_tokens(tmp_path / "en")
        assert "\n" not in str(error.value)
    tokenize(run_folder, tokenizer_path, tmp_path)
    verify_tokens(tmp_path / "en")
    assert TokenDocuments(tmp_path / "en", TRAIN).digest == digest
    assert (tmp_path / "en" / name).read_bytes() == (tokens / "en" / name).read_bytes()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("id", pa.array(["a", None]), "column id: row 1 is null"),
        ("url", pa.array([None, "b"]), "column url: row 0 is null"),
        ("text", pa.array(["a", None]), "column text: row 1 is null"),
        ("id", pa.array([1, 2]), "column id: expected strings, found int64"),
        ("text", pa.array([1, 2]), "column text: expected strings, found int64"),
        ("text", pa.array([b"a", b"\xff\xfe"]).view(pa.string()), "damaged after row 0"),
    ],
)
def test_shards_of_others_are_refused_with_file_and_column(
    tmp_path: Path, tokenizer_path: Path, column: str, values: pa.Array, message: str
) -> None:
    columns = {name: pa.array(["a", "b"]) for name in ("id", "url", "text")} | {column: values}
    path = tmp_path / "run" / "en" / "a.arrow"
    with ArrowSink(path, pa.schema([(name, array.type) for name, array in columns.items()])) as sink:
        sink.write(pa.record_batch(columns))
    with pytest.raises((UserError, RunError), match=rf"a\.arrow: {message}") as error:
        tokenize(tmp_path / "run", tokenizer_path, tmp_path / "tokens")
    assert "\n" not in str(error.value)
    if column != "url":  # the tokenizer reads ids and texts only
        with pytest.raises((UserError, RunError), match=rf"a\.arrow: {message}"):
            train_tokenizer([tmp_path / "run"], tmp_path / "t.json", vocab_size=300, sample_bytes=1000)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path, run_folder: Path, tokenizer_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/en: cannot be written: .*; choose a folder"):
        tokenize(run_folder, tokenizer_path, tmp_path / "file")
    with pytest.raises(UserError, match=r"file/t\.json: cannot be written: .*; choose a folder"):
        train_tokenizer([run_folder], tmp_path / "file" / "t.json", vocab_size=300, sample_bytes=1000)


class LastFirst:
    """An executor that gives the results of all tasks in the opposite order."""

    workers = 3
    memory = task_memory = 1 << 30

    def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Any = lambda _: ()) -> Iterator[Any]:
        return reversed([fn(task) for task in tasks])


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("executor", [LastFirst(), InProcess(), ProcessPool(2)], ids=["last first", "here", "pool"])
def test_an_executor_changes_no_byte_and_no_line(
    tmp_path: Path, run_folder: Path, tokenizer_path: Path, tokens: Path, executor: Any
) -> None:
    lines: list[str] = []
    with executor if hasattr(executor, "__enter__") else nullcontext():
        tokenize_shards(
            [run_folder], tokenizer_path, tmp_path, held_out_fraction=0.1, report=lines.append, executor=executor
        )
    assert files_of(tmp_path) == files_of(tokens)
    assert [line.partition(":")[0] for line in lines] == [
        f"{language}/{language}-0000{part}-000" for language in ("en", "ru") for part in range(2)
    ]


def test_an_executor_makes_only_the_shards_that_are_missing(
    tmp_path: Path, run_folder: Path, tokenizer_path: Path, tokens: Path
) -> None:
    shutil.copytree(tokens, tmp_path, dirs_exist_ok=True)
    (tmp_path / "ru" / "manifests" / "ru-00001-000.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.arrow")}
    with ProcessPool(2) as pool:
        tokenize_shards(
            [run_folder], tokenizer_path, tmp_path, held_out_fraction=0.1, report=lambda _: None, executor=pool
        )
    made = {path.relative_to(tmp_path) for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert made == {Path("ru") / split / "ru-00001-000.arrow" for split in (TRAIN, HELD_OUT)}
    assert files_of(tmp_path) == files_of(tokens)


def test_an_error_in_a_worker_is_that_of_this_process(tmp_path: Path, tokenizer_path: Path) -> None:
    path = write_shard(tmp_path / "run" / "en" / "a.arrow", ["text"] * 3, weight=pa.array([1, -1, 1]))
    for executor in (InProcess(), ProcessPool(1)):
        with executor, pytest.raises(UserError, match=r"a\.arrow: column weight: expected weights of 0") as error:
            tokenize_shards(
                [path],
                tokenizer_path,
                tmp_path / "tokens",
                held_out_fraction=0,
                report=lambda _: None,
                weight_column="weight",
                executor=executor,
            )
        assert "\n" not in str(error.value)


def test_a_task_that_begins_again_after_its_worker_was_lost_makes_the_same_shard(
    tmp_path: Path, run_folder: Path, tokenizer_path: Path, tokens: Path
) -> None:
    """The second attempt knows of a manifest that the first one has removed, and finds files without a manifest."""
    shutil.copytree(tokens, tmp_path, dirs_exist_ok=True)

    class Twice(LastFirst):
        def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Any = lambda _: ()) -> Iterator[Any]:
            for task in tasks:
                (tmp_path / "en" / "manifests" / f"{task.stem}.json").unlink(missing_ok=True)
                yield fn(task)

    for path in (tmp_path / "en" / TRAIN).glob("*.arrow"):
        truncate(path)
    tokenize_shards(
        [run_folder], tokenizer_path, tmp_path, held_out_fraction=0.1, report=lambda _: None, executor=Twice()
    )
    assert files_of(tmp_path) == files_of(tokens)


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path, run_folder: Path, tokenizer_path: Path) -> None:
    class Elsewhere(LastFirst):
        def map(self, fn: Callable[[Any], Any], tasks: Sequence[Any], then: Any = lambda _: ()) -> Iterator[Any]:
            return map(fn, [replace(task, tokenizer=tmp_path / "nowhere" / "tokenizer.json") for task in tasks])

    with pytest.raises(RunError, match=r"has no such file; on several machines --out lies on a disk that all share"):
        tokenize_shards(
            [run_folder], tokenizer_path, tmp_path, held_out_fraction=0, report=lambda _: None, executor=Elsewhere()
        )
