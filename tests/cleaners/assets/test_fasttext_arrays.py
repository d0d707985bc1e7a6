"""Arrays of models that fastText has just made: what it tells of them must be in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleaners.assets.fasttext_arrays import FastTextArrays
from shards.errors import UserError

LINES = [
    f"__label__{language} {word} {word}{i % 7} word"
    for i in range(300)
    for language, word in (("a", "mill"), ("b", "Мука"))
]


def trained(folder: Path, **settings: Any) -> tuple[Any, Path]:
    import fasttext

    (folder / "train").write_text("\n".join([*LINES, "__label__c 磨坊"]), encoding="utf-8")
    shape = {"minn": 2, "maxn": 4, "dim": 6, "bucket": 500, "epoch": 2, "loss": "hs"} | settings
    model = fasttext.train_supervised(str(folder / "train"), thread=1, seed=0, verbose=0, **shape)
    model.save_model(str(folder / "model.bin"))
    return model, folder / "model.bin"


def test_words_labels_and_matrices_are_those_that_fasttext_has(tmp_path: Path) -> None:
    model, path = trained(tmp_path)
    arrays = FastTextArrays.read(path)
    assert arrays is not None
    assert [word.decode() for word in arrays.words] == model.words
    assert arrays.labels == model.labels == ["__label__a", "__label__b", "__label__c"]
    assert (arrays.min_chars, arrays.max_chars, arrays.num_buckets, arrays.kept_buckets) == (2, 4, 500, None)
    assert np.array_equal(arrays.rows_RD, model.get_input_matrix())
    assert np.array_equal(arrays.outputs_LD, model.get_output_matrix())


@pytest.mark.parametrize("norms", [False, True])
def test_a_compressed_matrix_is_multiplied_out(tmp_path: Path, norms: bool) -> None:
    model, path = trained(tmp_path)
    model.quantize(input=str(tmp_path / "train"), cutoff=300, qnorm=norms, retrain=False)
    model.save_model(str(path))
    arrays = FastTextArrays.read(path)
    assert arrays is not None
    assert arrays.kept_buckets is not None
    assert len(arrays.words) + len(arrays.kept_buckets) == len(arrays.rows_RD) == 300
    for word in ("mill", "Мука3", "磨坊", "unknown"):
        rows = [model.get_input_vector(row) for row in model.get_subwords(word)[1]]
        assert rows
        for row, found in zip(model.get_subwords(word)[1], rows, strict=True):
            assert np.array_equal(arrays.rows_RD[row], found)


def test_the_tree_is_huffmans_so_frequent_labels_are_near_its_root(tmp_path: Path) -> None:
    arrays = FastTextArrays.read(trained(tmp_path)[1])
    assert arrays is not None
    left, right = arrays.tree()
    assert (left.tolist(), right.tolist()) == ([-1, -1, -1, 2, 0], [-1, -1, -1, 1, 3])


@pytest.mark.parametrize("settings", [{"loss": "softmax"}, {"wordNgrams": 2}])
def test_other_shapes_are_left_to_fasttext(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert FastTextArrays.read(trained(tmp_path, **settings)[1]) is None


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    _, path = trained(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"model\.bin: cut short"):
        FastTextArrays.read(path)
