"""The tokenizer: byte-level BPE, so that every text has tokens and comes back from them byte for byte.

Text is first split by `SPLIT`, and merges never cross a split. Three things differ from the usual GPT pattern, because
this one must serve English, Russian and Chinese alike:

- Combining marks stay with their letter (a stressed Russian vowel or a decomposed й is one word, not three pieces).
- Ideographs and kana are a class of their own: "Python程序" is two pieces, no token mixes Chinese with Latin letters.
- A token has at most `MAX_TOKEN_BYTES` bytes. Chinese has no spaces, a piece there is a whole clause, and without the
  limit a frequent phrase of site boilerplate becomes one token.

`tokenizers` learns the merges and tiktoken applies them, 3.7 times faster and with the same result (a test says so).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tiktoken
import tokenizers
import xxhash
from tokenizers import decoders, models, pre_tokenizers, trainers

from shards.atomic import write_bytes
from shards.errors import RunError, UserError
from shards.sink import open_arrow, read_batches

BOS, EOS, PAD = SPECIAL_TOKENS = ("<|bos|>", "<|eos|>", "<|pad|>")
MIN_VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)
MAX_TOKEN_BYTES = 24  # 8 ideographs, 12 Cyrillic letters, any English word but a few chemical names

_IDEOGRAPH = r"\p{Han}\p{Hiragana}\p{Katakana}"
SPLIT = "|".join(
    (
        r"'(?i:s|d|m|t|ll|ve|re)(?!\p{L})",  # English contractions
        rf"[{_IDEOGRAPH}]+",
        # A word takes the space, quote or bracket before it along.
        rf"[^\r\n\p{{L}}\p{{M}}\p{{N}}]?[\p{{L}}\p{{M}}&&[^{_IDEOGRAPH}]]+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
        # Spaces up to a line end; else all but the last one, which goes with the word. The bound is for pages that hold
        # a million spaces: both need backtracking, and tiktoken's stack overflows there.
        r"\s{0,256}[\r\n]",
        r"\s{1,256}(?!\S)",
        r"\s",
    )
)

_REMEDY = "give shards that `gristmill run` made"
_SAMPLE_SEED = 1  # of the id hash; not the held-out split's, so that one choice says nothing about the other


class Tokenizer:
    """A trained tokenizer. Special tokens are never made from text: a page that says "<|eos|>" is ordinary text."""

    def __init__(self, path: Path) -> None:
        try:
            self.json = path.read_bytes()
            self._encoding = _encoding(json.loads(self.json))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; make one with `gristmill tokenizer train`") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"{path}: not a tokenizer that `gristmill tokenizer train` made ({error!r})") from None
        self.sha256 = hashlib.sha256(self.json).hexdigest()
        self.vocab_size = self._encoding.n_vocab
        self.bos, self.eos = (self._encoding.encode_single_token(token) for token in (BOS, EOS))

    @cached_property
    def num_bytes(self) -> np.ndarray:
        """int64[vocabulary]: UTF-8 bytes that each token stands for. Those of a text's tokens add up to the text's."""
        tokens = map(self._encoding.decode_single_token_bytes, range(self.vocab_size))
        return np.fromiter(map(len, tokens), np.int64, self.vocab_size)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """uint32[tokens] of each text, without special tokens; on all cores."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return list(threads.map(self._encode, texts))

    def decode_batch(self, ids: Sequence[Sequence[int] | np.ndarray]) -> list[str]:
        return [self._encoding.decode(list(document)) for document in ids]

    def _encode(self, text: str) -> np.ndarray:
        return self._encoding.encode_to_numpy(text, disallowed_special=())


def train_tokenizer(shards: Sequence[Path], out: Path, *, vocab_size: int, sample_bytes: int) -> Tokenizer:
    """Learn a tokenizer from about `sample_bytes` of UTF-8 text and write it to `out`.

    The sample is the documents with the smallest id hashes, so it does not depend on how text is cut into files.
    Memory holds 16 bytes a document and the distinct pieces of the sample, never the text.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        needed = f"at least {MIN_VOCAB_SIZE} (256 bytes and {len(SPECIAL_TOKENS)} special tokens)"
        raise UserError(f"vocab_size: expected {needed}, found {vocab_size}")
    files = find_shards(shards)
    limit = _sample_limit(files, sample_bytes)
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(files, limit), trainer)
    write_bytes(out, tokenizer.to_str().encode())
    return Tokenizer(out)


def find_shards(paths: Sequence[Path]) -> list[Path]:
    """The text shards of files, shard folders and run folders, in order of name."""
    files = []
    for path in paths:
        folder = path / "shards" if (path / "shards").is_dir() else path
        found = [path] if path.is_file() else sorted(folder.rglob("*.arrow"))
        if not found:
            raise UserError(f"{path}: no *.arrow shards there; give a run folder, its shards/ or some of its files")
        files += found
    for file in files:
        schema = open_arrow(file).schema
        missing = {"id", "url", "text"} - set(schema.names)
        if missing:
            raise UserError(f"{file}: no column {', '.join(sorted(missing))}; {_REMEDY}")
        for name in ("id", "url", "text"):
            kind = schema.field(name).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise UserError(f"{file}: column {name}: expected strings, found {kind}; {_REMEDY}")
    return files


def read_documents(file: Path, columns: list[str], nullable: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """The file's batches; a damaged value, a string that is not UTF-8 and a null in `columns` are refused."""
    first_row = 0
    try:
        for batch in read_batches(file, [*columns, *nullable]):
            batch.validate(full=True)
            for name in columns:
                if batch[name].null_count:
                    row = first_row + int(np.argmax(batch[name].is_null().to_numpy(zero_copy_only=False)))
                    raise UserError(f"{file}: column {name}: row {row} is null; {_REMEDY}")
            yield batch
            first_row += batch.num_rows
    except (OSError, pa.ArrowInvalid) as error:
        raise RunError(f"{file}: damaged after row {first_row} ({error}); clean its input again") from None


def id_hashes(ids: pa.Array, seed: int) -> np.ndarray:
    """uint64[ids], uniform: the base of every choice among documents that must not depend on their place."""
    return np.fromiter((xxhash.xxh3_64_intdigest(i.encode(), seed) for i in ids.to_pylist()), np.uint64, len(ids))


def _sample_limit(files: Sequence[Path], sample_bytes: int) -> int:
    """The largest id hash in the sample."""
    hashes, sizes = [], []
    for file in files:
        for batch in read_documents(file, ["id", "text"]):
            hashes.append(id_hashes(batch["id"], _SAMPLE_SEED))
            sizes.append(pc.binary_length(batch["text"]).to_numpy())
    hash_of, size_of = np.concatenate([np.zeros(0, np.uint64), *hashes]), np.concatenate([np.zeros(0, int), *sizes])
    if not size_of.sum():
        raise UserError(f"{files[0]}: no text in {len(files)} shards; nothing to learn a tokenizer from")
    order = np.argsort(hash_of)
    within = np.searchsorted(np.cumsum(size_of[order]), sample_bytes)
    return int(hash_of[order[min(int(within), len(order) - 1)]])


def _sample(files: Sequence[Path], limit: int) -> Iterator[list[str]]:
    for file in files:
        for batch in read_documents(file, ["id", "text"]):
            chosen = id_hashes(batch["id"], _SAMPLE_SEED) <= limit
            yield batch["text"].filter(pa.array(chosen)).to_pylist()


def _encoding(tokenizer: dict[str, Any]) -> tiktoken.Encoding:
    """The merges of a tokenizer.json: its ids are in merge order, which is what tiktoken calls ranks."""
    split, byte_level = tokenizer["pre_tokenizer"]["pretokenizers"]
    if byte_level["type"] != "ByteLevel" or tokenizer["model"]["type"] != "BPE":
        raise ValueError("not byte-level BPE")
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    byte_of = {character: byte for byte, character in enumerate(_byte_characters())}
    return tiktoken.Encoding(
        "gristmill",
        pat_str=split["pattern"]["Regex"],
        mergeable_ranks={
            bytes(byte_of[character] for character in token): number
            for token, number in tokenizer["model"]["vocab"].items()
            if token not in special
        },
        special_tokens=special,
    )


def _byte_characters() -> Iterator[str]:
    """The printable character that stands for each byte 0 … 255 in a byte-level vocabulary, as GPT-2 defined it."""
    shifted = 256
    for byte in range(256):
        if byte in range(33, 127) or (byte in range(161, 256) and byte != 173):
            yield chr(byte)
        else:
            yield chr(shifted)
            shifted += 1
