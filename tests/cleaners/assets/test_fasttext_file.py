import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.assets.fasttext_file import check_whole, load_fasttext, missing_bytes
from cleaners.classifier import load_classifier
from cleaners.language import LanguageConfig
from cleaners.language_guess import LanguageGuessConfig
from shards.errors import UserError

QUANTIZED: dict[str, dict[str, Any]] = {
    "quantized": {},
    "quantized with norms": {"qnorm": True},
    "quantized and pruned": {"qnorm": True, "cutoff": 280, "retrain": True},
    "quantized with its output": {"qout": True},
}
KINDS = ("dense", "dense, single words", *QUANTIZED)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Real models of every shape that fastText writes. A quantizer needs 256 rows, one of the output 256 labels."""
    import fasttext

    folder = tmp_path_factory.mktemp("models")
    (folder / "two").write_text("".join(f"__label__{'ab'[i % 2]} word{i % 50} und {i % 7}\n" for i in range(400)))
    (folder / "many").write_text("".join(f"__label__{i} word{i % 50} und {i % 7}\n" for i in range(260)))
    made = {}
    for kind in KINDS:
        train = str(folder / ("many" if QUANTIZED.get(kind, {}).get("qout") else "two"))
        bigrams = 1 if kind == "dense, single words" else 2
        bucket = 300 if kind in QUANTIZED else 20
        model = fasttext.train_supervised(
            train, dim=4, wordNgrams=bigrams, bucket=bucket, epoch=1, thread=1, seed=0, verbose=0
        )
        if kind in QUANTIZED:
            model.quantize(train, **QUANTIZED[kind])
        model.save_model(str(folder / "model"))
        made[kind] = (folder / "model").read_bytes()
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_any_shape_is_whole_and_any_shorter_piece_is_cut_short(
    kind: str, models: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "model"
    path.write_bytes(models[kind])
    whole = len(models[kind])
    check_whole(path)
    assert missing_bytes(path) == 0
    assert load_fasttext(path).get_labels()
    exactly = 0
    for num_bytes in range(whole - 1, -1, -1):
        os.truncate(path, num_bytes)
        with pytest.raises(UserError, match=f"cut short: {num_bytes:,} of ") as error:
            check_whole(path)
        assert missing_bytes(path) <= whole - num_bytes
        exactly += f"of {whole:,} bytes; fetch or train it again" in str(error.value)
    if kind in QUANTIZED:
        assert exactly > 0
    else:  # after the flag of the first matrix: two heads, the rows of 4 float32, the second flag, 2 labels
        assert exactly == 2 * 16 + 16 * (_num_rows(models[kind]) + 2) + 1


def test_the_language_model_is_whole_and_the_lengths_that_made_fasttext_crash_are_refused(
    language_model: Path, tmp_path: Path
) -> None:
    check_whole(language_model)
    path = tmp_path / "lid.176.ftz"
    path.write_bytes(language_model.read_bytes())
    for num_bytes in (937_900, 900_000, 5_000):
        os.truncate(path, num_bytes)
        for config in (LanguageConfig, LanguageGuessConfig):
            with pytest.raises(UserError, match=rf"lid\.176\.ftz: cut short: {num_bytes:,} of .*; fetch or train it"):
                config(name="language", model=str(path)).build()
        with pytest.raises(UserError, match="cut short"):
            load_classifier(path, "en", "--label")


@given(at=st.integers(0, 10_000), value=st.sampled_from([-(1 << 31), -1, 0, 1, 2, 255, 1 << 16, (1 << 31) - 1]))
@pytest.mark.parametrize("kind", KINDS)
def test_no_number_in_the_file_breaks_the_check(
    kind: str, models: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    data = bytearray(models[kind])
    struct.pack_into("<i", data, at % (len(data) - 4), value)
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(data)
    with suppress(UserError):
        check_whole(path)


def test_a_file_that_is_not_a_classifier_is_refused_with_the_reason(models: dict[str, bytes], tmp_path: Path) -> None:
    import fasttext

    path = tmp_path / "model"
    header = struct.pack("<ii", 793712314, 13) + models["dense"][8:]
    fewer_rows = bytearray(models["dense"])
    at = models["dense"].index(struct.pack("<qq", _num_rows(models["dense"]), 4))
    struct.pack_into("<q", fewer_rows, at, 1)
    for data, found in (
        (b"PK\3\4 a zip", "it does not begin like one"),
        (b"n", "it does not begin like one"),
        (header, "version 13, and 12 is the newest"),
        (bytes(fewer_rows), "a matrix 1 × 4 for"),
    ):
        path.write_bytes(data)
        with pytest.raises(UserError, match=f"model: not a fastText model: {found}"):
            load_fasttext(path)
    (tmp_path / "train").write_text("a b c d\n" * 100)
    fasttext.train_unsupervised(str(tmp_path / "train"), dim=4, bucket=20, minCount=1, thread=1, verbose=0).save_model(
        str(path)
    )
    with pytest.raises(UserError, match="it holds word vectors, no classifier"):
        load_fasttext(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_fasttext(tmp_path)


def _num_rows(model: bytes) -> int:
    """Words and buckets of a dense model, from its settings and counts."""
    bucket: int = struct.unpack_from("<12i", model, 8)[8]
    num_words: int = struct.unpack_from("<ii", model, 8 + 12 * 4 + 8)[1]
    return num_words + bucket
