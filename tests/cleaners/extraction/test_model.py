"""The model file: it is read as it was written, has the same bytes every time, and other files are refused."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cleaners.extraction import model
from cleaners.extraction.calibration import Calibration
from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT
from cleaners.extraction.features.linear import SLOTS, LinearModels
from cleaners.extraction.features.page_kinds import NUM_KINDS, KindModel
from cleaners.extraction.features.page_kinds import SLOTS as KIND_SLOTS
from cleaners.extraction.forest import Trees, forest_of
from cleaners.extraction.model import digest_of, load_model, model_path, save_model
from shards.errors import UserError


def weights(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    dense = np.zeros(SLOTS, np.float32)
    dense[rng.integers(0, SLOTS, 500)] = rng.normal(size=500).astype(np.float16)
    return dense


def trees(num_features: int) -> Trees:
    """A tree of one split and one of two."""
    return Trees(
        np.array([3, 5], np.uint16),
        np.array([0, -1, -1, num_features - 1, 1, -1, -1, -1], np.int16),
        np.array([0.5, -1.0, 3.0], np.float32),
        np.array([-1.0, 1.0, 0.25, 0.5, -0.5], np.float32),
    )


KINDS = KindModel(weights(3)[: KIND_SLOTS * NUM_KINDS].reshape(KIND_SLOTS, NUM_KINDS), weights(4)[:NUM_KINDS])
LINE = Calibration(np.array([0.4, 0.9], np.float32), np.array([0.3, 0.8], np.float32))
LINEAR = LinearModels(weights(1), weights(2), KINDS)
FIRST, SECOND = trees(len(FEATURES)), trees(len(FEATURES) + len(CONTEXT))


def save(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return save_model(folder, LINEAR, FIRST, SECOND, LINE, {"pages": 3})


@pytest.fixture(autouse=True)
def no_cache() -> Iterator[None]:
    load_model.cache_clear()
    yield
    load_model.cache_clear()


def refused(path: Path, expected: str) -> None:
    load_model.cache_clear()
    with pytest.raises(UserError, match=expected) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_model_is_read_as_it_was_saved(tmp_path: Path) -> None:
    path = save(tmp_path)
    loaded = load_model(path)
    assert np.array_equal(loaded.linear.paths, weights(1))
    assert np.array_equal(loaded.linear.words, weights(2))
    assert all(np.array_equal(part, saved) for part, saved in zip(loaded.linear.kinds, KINDS, strict=True))
    assert all(np.array_equal(part, saved) for part, saved in zip(loaded.calibration, LINE, strict=True))
    for forest, saved in ((loaded.first, FIRST), (loaded.second, SECOND)):
        assert all(np.array_equal(a, b) for a, b in zip(forest, forest_of(saved), strict=True))


def test_the_name_has_version_and_digest_and_the_card_has_it_whole(tmp_path: Path) -> None:
    path = save(tmp_path)
    with np.load(path) as archive:
        digest = digest_of(dict(archive))
    assert path.name == f"gristmill-{model.VERSION}-{digest[:8]}.npz"
    assert digest in path.with_suffix(".json").read_text()


def test_one_model_is_one_file_of_the_same_bytes(tmp_path: Path) -> None:
    first, second = save(tmp_path / "a"), save(tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".json").read_bytes() == second.with_suffix(".json").read_bytes()


def test_digest_is_of_names_types_shapes_and_values_in_any_byte_order() -> None:
    plain: dict[str, np.ndarray] = {"a": np.arange(6, dtype=np.float32), "b": np.zeros(2, np.int16)}
    same = [
        {"b": plain["b"], "a": plain["a"]},
        plain | {"a": plain["a"].astype(">f4")},
        plain | {"a": np.arange(12, dtype=np.float32)[::2] / 2},
    ]
    others = [
        plain | {"a": np.arange(6, dtype=np.int32)},
        plain | {"a": plain["a"].reshape(2, 3)},
        plain | {"a": plain["a"] + 1},
        {"c": plain["a"], "b": plain["b"]},
    ]
    assert {digest_of(arrays) for arrays in same} == {digest_of(plain)}
    assert len({digest_of(arrays) for arrays in [plain, *others]}) == 5


def test_another_weight_or_tree_is_another_model(tmp_path: Path) -> None:
    other = weights(1)
    other[np.flatnonzero(other)[0]] += 1
    names = {
        save(tmp_path).name,
        save_model(tmp_path, LINEAR._replace(paths=other), FIRST, SECOND, LINE, {}).name,
        save_model(tmp_path, LINEAR, FIRST._replace(leaves=FIRST.leaves + 1), SECOND, LINE, {}).name,
    }
    assert len(names) == 3


def test_a_renamed_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path)
    refused(path.rename(path.with_name(f"gristmill-{model.VERSION}-00000000.npz")), "cut, changed or renamed")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "gristmill-2-00000000.npz", "no such model")


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path)
    whole = path.read_bytes()
    for length in [*range(1, len(whole), len(whole) // 20), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused(path, "is no model")


def test_a_changed_byte_is_refused_where_it_changes_an_array(tmp_path: Path) -> None:
    """Some bytes of the archive's headers do not affect the arrays; the model is then the saved one."""
    path = save(tmp_path)
    whole = path.read_bytes()
    draw = np.random.default_rng(5)
    outcomes: list[str] = []
    for at in sorted({*range(60), *draw.integers(0, len(whole), 150).tolist(), *range(len(whole) - 60, len(whole))}):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ int(draw.integers(1, 256))]) + whole[at + 1 :])
        load_model.cache_clear()
        try:
            loaded = load_model(path)
        except UserError as error:
            outcomes.append(str(error))
            continue
        assert np.array_equal(loaded.linear.paths, weights(1))
        assert np.array_equal(loaded.first.values, forest_of(FIRST).values)
    assert len(outcomes) > 150
    assert all(told.startswith(f"{path}: ") and "\n" not in told for told in outcomes)


@pytest.mark.parametrize("content", [b"text", b"PK\x05\x06" + bytes(18)], ids=["text", "empty archive"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gristmill-2-00000000.npz"
    path.write_bytes(content)
    refused(path, "is no model|cut, changed or renamed")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gristmill-2-00000000.npz"
    path.touch()
    refused(path, "is no model")


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gristmill-2-00000000.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    refused(path, "is no model")


def written(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> Path:
    """A file of changed arrays with the right name."""
    with np.load(save(folder)) as archive:
        arrays = dict(archive)
    change(arrays)
    path = folder / f"gristmill-{model.VERSION}-{digest_of(arrays)[:8]}.npz"
    np.savez_compressed(path, **arrays)
    return path


def test_a_model_of_other_features_is_refused(tmp_path: Path) -> None:
    def rename(arrays: dict[str, np.ndarray]) -> None:
        arrays["names"] = np.frombuffer(bytes(arrays["names"]).replace(b"log_chars", b"ln_chars", 1), np.uint8)

    refused(written(tmp_path, rename), "other features")


@pytest.mark.parametrize("name", ["names", "path_slots", "word_weights", "first_sizes", "second_leaves"])
def test_a_model_that_lacks_an_array_is_refused(tmp_path: Path, name: str) -> None:
    refused(written(tmp_path, lambda arrays: arrays.pop(name)), "is no model")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    with np.load(save(tmp_path)) as archive:
        arrays = dict(archive)
    path = tmp_path / "gristmill-2-00000000.npz"
    np.savez_compressed(path, **arrays | {"names": np.array([{}], object)})
    refused(path, "is no model")


def test_an_archive_from_another_compressor_is_the_same_model(tmp_path: Path) -> None:
    path = save(tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
        for name, values in reversed(arrays.items()):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, values)
    path.write_bytes(plain.getvalue())
    assert np.array_equal(load_model(path).linear.words, weights(2))


@pytest.mark.parametrize(
    ("linear", "line"),
    [
        (LINEAR._replace(kinds=KindModel(KINDS.weights[:3], KINDS.bias)), LINE),
        (LINEAR._replace(kinds=KindModel(KINDS.weights, KINDS.bias[:2])), LINE),
        (LINEAR, Calibration(LINE.expected, LINE.reached[:1])),
        (LINEAR, Calibration(LINE.expected[:0], LINE.reached[:0])),
        (LINEAR, Calibration(LINE.expected.astype(np.float64), LINE.reached)),
    ],
    ids=["kinds", "bias", "lengths", "no point", "float64"],
)
def test_arrays_of_another_shape_are_refused(tmp_path: Path, linear: LinearModels, line: Calibration) -> None:
    refused(save_model(tmp_path, linear, FIRST, SECOND, line, {}), "is no model of the extractor")


def test_a_folder_without_a_model_or_with_two_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="found 0"):
        model_path()
    path = save(tmp_path)
    assert model_path() == path
    path.with_name(f"gristmill-{model.VERSION}-00000000.npz").touch()
    with pytest.raises(UserError, match="found 2"):
        model_path()
