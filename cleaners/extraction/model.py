"""The model file: plain arrays in a NumPy archive, named by version and digest. A card beside it
describes the training.

    models/gristmill-1-3f2a9c04.npz     weights of tokens and words, two forests, the names of their features
    models/gristmill-1-3f2a9c04.json    data cards, settings, F1 across folds

The digest is that of the arrays, so that another zlib writes the same model.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT
from cleaners.extraction.features.linear import SLOTS
from cleaners.extraction.forest import Forest, Trees, forest_of
from shards.atomic import atomic_file, write_json
from shards.errors import UserError
from shards.limits import check_limits

VERSION = 1
FOLDER = Path(__file__).with_name("models")


class Model(NamedTuple):
    """The linear models and the two forests."""

    path_weights: np.ndarray  # float32[SLOTS]
    word_weights: np.ndarray  # float32[SLOTS]
    first: Forest  # of FEATURES
    second: Forest  # of FEATURES and CONTEXT


def save_model(
    folder: Path,
    path_weights: np.ndarray,
    word_weights: np.ndarray,
    first: Trees,
    second: Trees,
    card: Mapping[str, Any],
) -> Path:
    """Write the archive and its card; return the archive's path. Weights are rounded to float16, as in `fit_linear`."""
    arrays = {"names": np.frombuffer("\n".join([*FEATURES, *CONTEXT]).encode(), np.uint8)}
    for name, weights in (("path", path_weights), ("word", word_weights)):
        slots = np.flatnonzero(weights)
        arrays |= {f"{name}_slots": slots.astype(np.uint32), f"{name}_weights": weights[slots].astype(np.float16)}
    for name, trees in (("first", first), ("second", second)):
        arrays |= {f"{name}_{part}": values for part, values in trees._asdict().items()}
    digest = digest_of(arrays)
    path = folder / f"gristmill-{VERSION}-{digest[:8]}.npz"
    with atomic_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    write_json(path.with_suffix(".json"), {"digest": digest, **card})
    return path


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the names, types, shapes and little-endian values of arrays, in the order of their names."""
    state = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name], arrays[name].dtype.newbyteorder("<"))
        state.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        state.update(values.tobytes())
    return state.hexdigest()


def model_path() -> Path:
    """The path of the shipped model."""
    paths = sorted(FOLDER.glob(f"gristmill-{VERSION}-*.npz"))
    if len(paths) != 1:
        raise UserError(f"{FOLDER}: expected one file gristmill-{VERSION}-*.npz, found {len(paths)}; reinstall")
    return paths[0]


@cache
def load_model(path: Path) -> Model:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        name = f"gristmill-{VERSION}-{digest_of(arrays)[:8]}.npz"
        if path.name != name:
            raise UserError(f"{path}: holds {name}: it was cut, changed or renamed; train again or reinstall")
        if bytes(arrays["names"]).decode().split("\n") != [*FEATURES, *CONTEXT]:
            raise UserError(f"{path}: was trained with other features than this version computes; train again")
        weights = []
        for name in ("path", "word"):
            dense = np.zeros(SLOTS, np.float32)
            dense[arrays[f"{name}_slots"]] = arrays[f"{name}_weights"]
            weights.append(dense)
        forests = [
            forest_of(Trees(*(arrays[f"{name}_{part}"] for part in Trees._fields))) for name in ("first", "second")
        ]
    except FileNotFoundError:
        raise UserError(f"{path}: no such model; `gristmill extractor train` writes one") from None
    except (
        OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError, zlib.error, zipfile.BadZipFile
    ) as error:  # fmt: skip
        check_limits(path, error)
        raise UserError(f"{path}: is no model of the extractor ({error}); train again or reinstall") from None
    return Model(weights[0], weights[1], forests[0], forests[1])
