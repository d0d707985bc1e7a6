"""Bits per byte and perplexity of documents, by source, language and bucket.

    bits per byte   -log2 p(all tokens) / UTF-8 bytes of the texts      masked tokens count in neither
    perplexity      exp(-ln p(all tokens) / tokens)                     depends on the tokenizer

The tokens of a document are all after <|bos|>, its end included; so a byte's bits hold its share of knowing where the
document ends. A document longer than the model reads at once is read in pieces of that length, each without those
before.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from pretrain.evaluate import chosen_documents
from pretrain.log_likelihoods import Text
from pretrain.tasks.scoring import LogLikelihoods
from pretrain.tokenizing.split import is_held_out, text_hashes
from pretrain.tokenizing.text_shards import find_shards, read_documents
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.errors import UserError
from shards.sink import open_arrow
from shards.tokens import HELD_OUT, TokenDocuments

_AT_ONCE = 1 << 18  # tokens that are scored in one call
_LANGUAGE = "language"


class Group(NamedTuple):
    source: str
    language: str = ""  # "" where none is known
    bucket: str = ""


@dataclass
class TextFigures:
    """Sums over the documents of a group."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    nats: float = 0.0

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / self.bytes

    @property
    def perplexity(self) -> float:
        return math.exp(min(700.0, self.nats / self.tokens))


class Document(NamedTuple):
    group: Group
    ids: np.ndarray  # from <|bos|> to <|eos|>
    learned: np.ndarray  # bool: not masked
    num_bytes: int


def measured(documents: Iterator[Document], scores: LogLikelihoods, max_length: int) -> dict[Group, TextFigures]:
    """The figures of all groups, in the order of their names; groups without a byte are left out."""
    found: dict[Group, TextFigures] = defaultdict(TextFigures)
    texts: list[Text] = []
    groups: list[Group] = []

    def score() -> None:
        for group, (log_p, _) in zip(groups, scores(texts), strict=True):
            found[group].nats -= log_p
        texts.clear()
        groups.clear()

    num_tokens = 0
    for group, ids, learned, num_bytes in documents:
        figures = found[group]
        figures.documents, figures.bytes = figures.documents + 1, figures.bytes + num_bytes
        figures.tokens += int(learned[1:].sum())
        for first in range(0, len(ids) - 1, max_length):
            piece = slice(first, first + max_length + 1)
            texts.append(Text(ids[piece], 1 + np.flatnonzero(learned[piece][1:])))
            groups.append(group)
        num_tokens += len(ids)
        if num_tokens >= _AT_ONCE:
            score()
            num_tokens = 0
    if texts:
        score()
    return {group: found[group] for group in sorted(found) if found[group].bytes}


def held_out_tokens(source: str, folder: Path, tokenizer: Tokenizer, max_tokens: int) -> Iterator[Document]:
    """The held-out documents of a token folder that a training measures too; UserError for another tokenizer."""
    documents = TokenDocuments(folder, HELD_OUT)
    if (theirs := documents.manifest.tokenizer_sha256) != tokenizer.sha256:
        raise UserError(
            f"{folder}: was made with another tokenizer (sha256 {theirs[:12]}) than the model (sha256 "
            f"{tokenizer.sha256[:12]}); give the texts themselves by --texts"
        )
    for number in chosen_documents(source, documents, max_tokens).tolist():
        length = int(documents.num_tokens[number])
        learned = np.ones(length, np.bool_)
        for start, end in documents.masked(number, 0, length):
            learned[start:end] = False
        group = Group(source, bucket=documents.provenance(number).bucket)
        yield Document(group, documents.tokens(number, 0, length), learned, int(documents.num_bytes[number]))


def documents_of_texts(
    paths: Sequence[Path], tokenizer: Tokenizer, *, fraction: float | None, bucket: str | None, max_tokens: int
) -> Iterator[Document]:
    """The documents of text shards; with `fraction` those that `gristmill tokenize --held-out` holds out.

    Their source is the folder that a shard lies in, and of each at most about `max_tokens` are taken.
    """
    taken: dict[str, int] = defaultdict(int)
    for shard in find_shards(paths):
        source, names = shard.resolve().parent.name, open_arrow(shard).schema.names
        if bucket is not None and bucket not in names:
            raise UserError(f"{shard}: has no column {bucket}; it has {', '.join(names)}")
        columns = [name for name in (_LANGUAGE, bucket) if name is not None and name in names]
        for batch in read_documents(shard, ["text"], columns):
            if fraction is not None:
                batch = batch.filter(is_held_out(text_hashes(batch["text"]), fraction))
            values = {name: pc.fill_null(batch[name].cast("string"), "").to_pylist() for name in columns}
            texts = batch["text"].to_pylist()
            for number, (text, ids) in enumerate(zip(texts, tokenizer.encode_batch(texts), strict=True)):
                if taken[source] >= max_tokens:
                    break
                taken[source] += len(ids)
                group = Group(source, *(values[n][number] if n in values else "" for n in (_LANGUAGE, bucket or "")))
                whole = np.concatenate([[tokenizer.bos], ids, [tokenizer.eos]])
                yield Document(group, whole, np.ones(len(whole), np.bool_), len(text.encode()))
