"""Lookups in all shards of a run, of token folders or of a training, one shard after the other.

count         over all shards, exactly
next words    what follows a string of words, by count: the question of infini-gram (Liu et al., "Infini-gram: Scaling
              Unbounded n-gram Language Models to a Trillion Tokens", 2024)
spans         the longest passages of a text, such as a model's, that stand in the shards, with their documents
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pretrain.search.pieces import piece_spans
from pretrain.search.suffixes import Shard, Suffixes, require_text, suffixes_of
from pretrain.tokenizing.text_shards import find_shards
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.errors import UserError
from shards.token_manifest import MANIFEST, TOKENIZER, read_token_manifest
from shards.tokens import TRAIN
from shards.unicode import classes

CONTEXT = 60  # bytes beside an occurrence
TEXT_END = ""  # the next word where a text ends


@dataclass(frozen=True)
class Place:
    """An occurrence."""

    source: str
    shard: str  # stem of its file
    document: int  # row of the shard
    id: str
    url: str
    before: str
    there: str
    after: str


@dataclass(frozen=True)
class Span:
    """A passage of a text that stands in the shards."""

    start: int  # characters [start, end) of the text
    end: int
    text: str
    num_words: int
    count: int  # in all shards
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Corpus:
    """Shards and the folder of their suffix arrays."""

    shards: Sequence[Shard]
    index: Path

    def __iter__(self) -> Iterator[Suffixes]:
        """The suffix arrays, each made when it is first asked for."""
        return (suffixes_of(shard, self.index) for shard in self.shards)

    def count(self, query: str) -> int:
        """How often the words of `query` stand in the shards, each of them whole."""
        return sum(len(one.places(require_text(query))) for one in self)

    def places(self, query: str, limit: int) -> tuple[int, list[Place]]:
        """(count, the first occurrences in the order of shards and documents)."""
        data, count = require_text(query), 0
        found: list[Place] = []
        for one in self:
            places = np.sort(one.places(data))
            count += len(places)
            if (left := limit - len(found)) > 0 and len(places):
                found += _shown(one, places[:left], len(data))
        return count, found

    def next_words(self, query: str) -> Counter[str]:
        """How often each word follows the words of `query`; TEXT_END where a text ends."""
        data = require_text(query)
        counts: Counter[bytes] = Counter()
        for one in self:
            counts.update(one.next_piece(place + len(data)) for place in one.places(data).tolist())
        return Counter({word.decode(): count for word, count in counts.items()})

    def spans(self, text: str, *, min_words: int, limit: int = 3) -> list[Span]:
        """The longest passages of `text`, of `min_words` or more, none within another; each with up to `limit` places.

        A passage ends where no shard has one more word of it after what is before.
        """
        data = text.encode()
        starts, ends = (np.empty(len(data), np.int64) for _ in range(2))
        count = piece_spans(np.frombuffer(data, np.uint8), 0, len(data), classes(), starts, ends)
        starts, ends = starts[:count], ends[:count]
        last = np.full(count, -1, np.int64)  # of each piece: the last one of the longest passage that begins with it
        for one in self:
            for k in range(count):
                last[k] = max(last[k], _last_piece(one, data, k, starts, ends))
        spans, covered = [], -1
        for k in range(count):
            if last[k] > covered and last[k] - k + 1 >= min_words:
                start, end = int(starts[k]), int(ends[last[k]])
                words = data[start:end].decode()
                at = len(data[:start].decode())
                spans.append(Span(at, at + len(words), words, int(last[k]) - k + 1, *self._found(words, limit)))
            covered = max(covered, int(last[k]))
        return spans

    def _found(self, words: str, limit: int) -> tuple[int, tuple[Place, ...]]:
        count, places = self.places(words, limit)
        return count, tuple(places)


def _last_piece(one: Suffixes, data: bytes, k: int, starts: np.ndarray, ends: np.ndarray) -> int:
    """The last piece of the longest passage from piece `k` on that stands in the shard in whole pieces; or k - 1."""
    common = int(starts[k]) + one.longest(data, int(starts[k]))
    last = int(np.searchsorted(ends, common, side="right")) - 1
    # What the shard has after a piece that ends where the common bytes end may continue the piece.
    if last >= k and ends[last] == common and not len(one.places(data[starts[k] : ends[last]])):
        last -= 1
    return last


def _shown(one: Suffixes, places: np.ndarray, length: int) -> list[Place]:
    documents = one.shard.documents()
    shown = []
    for place, number in zip(places.tolist(), one.document(places).tolist(), strict=True):
        row = documents.slice(number, 1).to_pylist()[0]
        parts = one.around(place, length, CONTEXT)
        shown.append(Place(one.shard.source, one.shard.file.stem, number, row["id"], row["url"], *parts))
    return shown


def open_corpus(path: Path, index: Path | None) -> Corpus:
    """The shards of a run, of a token folder or of the sources that a training trains on.

    The suffix arrays are in PATH/search unless `index` names another folder. UserError for a path that is none of them.
    """
    folder = index or path / "search"
    if (path / MANIFEST).exists():
        return Corpus(_token_shards(path, path.name), folder)
    if (path / "train.toml").exists():
        from pretrain.order.plan import load_training

        sources = load_training(path).source
        shards = [shard for name, source in sources.items() for shard in _token_shards(source.folder, name)]
        return Corpus(shards, folder)
    if not path.exists():
        raise UserError(f"{path}: no such folder; name a run, a token folder or a training")
    return Corpus([Shard(file, file.resolve().parent.name) for file in find_shards([path])], folder)


def _token_shards(folder: Path, source: str) -> list[Shard]:
    """The shards of a token folder that are trained on."""
    tokenizer = Tokenizer(folder / TOKENIZER)
    stems = read_token_manifest(folder).shards
    return [Shard(folder / TRAIN / f"{stem}.arrow", source, tokenizer) for stem in stems]
