"""The model file: plain arrays in a NumPy archive, named by version and digest. A card beside it
describes the training.

    models/gristmill-2-3f2a9c04.npz     weights of tokens and words, two forests, the names of their features
    models/gristmill-2-3f2a9c04.json    data cards, settings, F1 across folds
    models/permissive-2-91be5d27.npz    a model without the labels that are under GPL or AGPL

The digest is that of the arrays, so that another zlib writes the same model.
"""

import hashlib
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cleaners.extraction.calibration import Calibration
from cleaners.extraction.features.columns import FEATURES
from cleaners.extraction.features.context import CONTEXT
from cleaners.extraction.features.linear import SLOTS, LinearModels
from cleaners.extraction.features.page_kinds import NUM_KINDS, KindModel
from cleaners.extraction.features.page_kinds import SLOTS as KIND_SLOTS
from cleaners.extraction.forest import Forest, Trees, forest_of
from shards.atomic import atomic_file, write_json
from shards.brought import brought
from shards.errors import UserError
from shards.limits import check_limits

VERSION = 2
FOLDER = Path(__file__).with_name("models")
SHIPPED = ("gristmill", "permissive")


class Model(NamedTuple):
    """The linear models and the two forests."""

    linear: LinearModels
    first: Forest  # of FEATURES
    second: Forest  # of FEATURES and CONTEXT
    calibration: Calibration


def save_model(
    folder: Path,
    linear: LinearModels,
    first: Trees,
    second: Trees,
    calibration: Calibration,
    card: Mapping[str, Any],
    name: str = SHIPPED[0],
) -> Path:
    """Write the archive and its card; return the archive's path. Weights are rounded to float16, as in `fit_linear`."""
    arrays = {"names": np.frombuffer("\n".join([*FEATURES, *CONTEXT]).encode(), np.uint8)}
    for part, weights in (("path", linear.paths), ("word", linear.words)):
        slots = np.flatnonzero(weights)
        arrays |= {f"{part}_slots": slots.astype(np.uint32), f"{part}_weights": weights[slots].astype(np.float16)}
    for part, weights in linear.kinds._asdict().items():
        arrays[f"kind_{part}"] = weights.astype(np.float16)
    for part, trees in (("first", first), ("second", second)):
        arrays |= {f"{part}_{field}": values for field, values in trees._asdict().items()}
    arrays |= {f"calibration_{part}": values for part, values in calibration._asdict().items()}
    digest = digest_of(arrays)
    path = folder / f"{name}-{VERSION}-{digest[:8]}.npz"
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


def model_path(name: str = SHIPPED[0]) -> Path:
    """The path of a model: one of `SHIPPED`, else a file that `gristmill extractor train` has written."""
    if name not in SHIPPED:
        return brought(name) or Path(name)
    paths = sorted(FOLDER.glob(f"{name}-{VERSION}-*.npz"))
    if len(paths) != 1:
        raise UserError(f"{FOLDER}: expected one file {name}-{VERSION}-*.npz, found {len(paths)}; reinstall")
    return paths[0]


@cache
def load_model(path: Path) -> Model:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        name = f"{path.name.partition('-')[0]}-{VERSION}-{digest_of(arrays)[:8]}.npz"
        if path.name != name:
            raise UserError(f"{path}: holds {name}: it was cut, changed or renamed; train again or reinstall")
        if bytes(arrays["names"]).decode().split("\n") != [*FEATURES, *CONTEXT]:
            raise UserError(f"{path}: was trained with other features than this version computes; train again")
        paths, words = (_dense(arrays[f"{part}_slots"], arrays[f"{part}_weights"]) for part in ("path", "word"))
        kinds = KindModel(*(arrays[f"kind_{part}"].astype(np.float32) for part in KindModel._fields))
        line = Calibration(*(arrays[f"calibration_{part}"] for part in Calibration._fields))
        if kinds.weights.shape != (KIND_SLOTS, NUM_KINDS) or kinds.bias.shape != (NUM_KINDS,):
            raise ValueError("weights of kinds have another shape")
        if not len(line.expected) == len(line.reached) > 0 or any(part.dtype != np.float32 for part in line):
            raise ValueError("the line of calibration is none")
        first, second = (
            forest_of(Trees(*(arrays[f"{part}_{field}"] for field in Trees._fields))) for part in ("first", "second")
        )
    except FileNotFoundError:
        raise UserError(f"{path}: no such model; `gristmill extractor train` writes one") from None
    except (
        OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError, SyntaxError, tokenize.TokenError,
        zlib.error, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        check_limits(path, error)
        raise UserError(f"{path}: is no model of the extractor ({error}); train again or reinstall") from None
    return Model(LinearModels(paths, words, kinds), first, second, line)


def _dense(slots: np.ndarray, weights: np.ndarray) -> np.ndarray:
    dense = np.zeros(SLOTS, np.float32)
    dense[slots] = weights
    return dense
