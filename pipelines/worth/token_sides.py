"""The sides of an ablation as tokens: of token folders as they are, and of runs by one tokenizer for all sides.

OUT/texts/<side>, <side>-held-out, <set>     text shards of runs and of evaluation texts
    tokenizer.json                           learned from as much text of each side, unless one is given
    tokens/<side>, <side>-held-out, <set>    token folders
"""

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from pipelines.numbers import counted
from pipelines.worth.sides import HELD_OUT_SUFFIX, TEXT_SHARD, Split
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer_training import train_tokenizer
from shards.errors import UserError
from shards.sink import ArrowSink
from shards.token_manifest import TOKENIZER, read_token_manifest
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments

EVALUATION = "evaluation: "  # begins the names of sets of evaluation texts
VOCAB_SIZE = 8_192  # of a tokenizer that is learned here
_SAMPLE_BYTES = 50_000_000  # of text that it is learned from, at most
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True)
class HeldOutSet:
    """Documents that are scored and that no side trains on."""

    name: str
    documents: TokenDocuments
    keys: np.ndarray  # str[documents]: equal for texts of one page
    of_side: bool  # held out of a side, and no evaluation text


@dataclass(frozen=True)
class TokenSides:
    """The token folders to train on by side, and what all of them are scored on."""

    train: Mapping[str, Path]
    sets: Sequence[HeldOutSet]

    @property
    def vocab_size(self) -> int:
        return read_token_manifest(next(iter(self.train.values()))).vocab_size

    def num_tokens(self, side: str) -> int:
        """Tokens of an epoch."""
        manifest = read_token_manifest(self.train[side])
        return sum(shard.files[TRAIN].num_epoch_tokens for shard in manifest.shards.values())

    def digests(self) -> dict[str, str]:
        """What each side trains on and each set measures, as digests by name."""
        sides = {name: read_token_manifest(folder).digest(TRAIN) for name, folder in self.train.items()}
        return sides | {f"set {one.name}": one.documents.digest for one in self.sets}

    def check(self) -> None:
        """UserError for sides of different tokenizers, for sets without text, and for sets that a side trains on."""
        manifests = {name: read_token_manifest(folder) for name, folder in self.train.items()}
        first = next(iter(manifests))
        for name, manifest in manifests.items():
            if manifest.tokenizer_sha256 != manifests[first].tokenizer_sha256:
                raise UserError(
                    f"side {name}: its tokenizer {self.train[name] / TOKENIZER} is not that of side {first}; tokenize "
                    "both with the same one"
                )
        for one in self.sets:
            if not one.documents.num_bytes.sum():
                raise UserError(
                    f"{one.name}: no text of it is held out; tokenize with --held-out, or give evaluation texts"
                )
            hashes = np.unique(one.documents.column("text_hash").to_numpy())
            for side, folder in self.train.items():
                trained = TokenDocuments(folder, TRAIN).column("text_hash").to_numpy()
                if met := np.intersect1d(hashes, trained).size:
                    raise UserError(
                        f"{one.name}: {counted(met, 'text')} of it would be trained on by side {side}, so its score "
                        "would favour that side; hold out the same texts of all sides (tokenize --held-out), or take "
                        "them from the evaluation texts"
                    )


def of_token_folders(folders: Mapping[str, Path]) -> TokenSides:
    """Sides that are token folders, with the documents that they hold out."""
    sets = [_set(f"{name} held out", folder, HELD_OUT, of_side=True) for name, folder in folders.items()]
    distinct = {one.documents.digest: one for one in reversed(sets)}  # of A against A there is one
    return TokenSides(folders, list(distinct.values())[::-1])


def of_documents(split: Split, out: Path, tokenizer: Path | None, report: Callable[[str], None]) -> TokenSides:
    """Sides that are texts, tokenized below `out` by the given tokenizer or by one that is learned there."""
    for name in split.sides:
        if not _NAME.fullmatch(name):
            raise UserError(f"side {name}: expected a name of letters, digits, dots, dashes and underscores")
    split.write(out / "texts", report)
    names = [f"{name}{suffix}" for name in split.sides for suffix in ("", HELD_OUT_SUFFIX)]
    path = tokenizer or out / TOKENIZER
    if tokenizer is None and not path.exists():
        learn_from = [out / "texts" / name for name in split.sides]
        weights = dict.fromkeys(split.sides, 1.0)
        train_tokenizer(
            learn_from, path, vocab_size=VOCAB_SIZE, sample_bytes=_SAMPLE_BYTES, weights=weights, report=report
        )
    _tokenize([out / "texts" / name for name in names], path, out)
    tokens = {name: out / "tokens" / name for name in split.sides}
    keys = split.representative
    sets = [
        _set(f"{name} held out", out / "tokens" / f"{name}{HELD_OUT_SUFFIX}", TRAIN, of_side=True, keys=keys)
        for name in split.sides
    ]
    return TokenSides(tokens, sets)


def evaluation_texts(file: Path, key: str, out: Path, tokenizer: Path) -> HeldOutSet:
    """The texts of a JSON-lines file, plain or gzip, as a set; `key` names the value that holds the text.

    UserError, with the line, for one that is no object with such a text.
    """
    name = file.name.partition(".")[0]
    with ArrowSink(out / "texts" / name / "texts.arrow", TEXT_SHARD) as sink:
        for texts in _texts(file, key):
            ids = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]
            columns = [pa.array(ids), pa.array([""] * len(ids)), pa.array(texts, pa.large_string())]
            sink.write(pa.RecordBatch.from_arrays(columns, schema=TEXT_SHARD))
    _tokenize([out / "texts" / name], tokenizer, out)
    return _set(f"{EVALUATION}{name}", out / "tokens" / name, TRAIN, of_side=False)


def _texts(file: Path, key: str, at_once: int = 1000) -> Iterator[list[str]]:
    texts: list[str] = []
    is_empty = True
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                is_empty = False
                texts.append(_text(line, key, f"{file}:{number}"))
                if len(texts) == at_once:
                    yield texts
                    texts = []
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}; give JSON lines, plain or gzip") from None
    if is_empty:
        raise UserError(f"{file}: has no lines; give a file of evaluation texts, one JSON object a line")
    if texts:
        yield texts


def _text(line: str, key: str, where: str) -> str:
    try:
        text = json.loads(line)[key]
    except (ValueError, LookupError, TypeError):
        text = None
    if not isinstance(text, str):
        raise UserError(f"{where}: expected a JSON object with the text {key!r}; --text-key names another value")
    return text


def _tokenize(texts: Sequence[Path], tokenizer: Path, out: Path) -> None:
    tokenize_shards(texts, tokenizer, out / "tokens", held_out_fraction=0, report=lambda line: None)


def _set(name: str, folder: Path, split: str, *, of_side: bool, keys: Mapping[str, str] | None = None) -> HeldOutSet:
    documents = TokenDocuments(folder, split)
    ids = documents.column("id").to_pylist()
    return HeldOutSet(name, documents, np.array([(keys or {}).get(id_, id_) for id_ in ids], str), of_side)
