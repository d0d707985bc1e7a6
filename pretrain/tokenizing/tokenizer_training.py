"""Learning a byte-level BPE tokenizer from a sample of text shards.

Text is split by `SPLIT` before merges are learned. It differs in three points from the usual GPT pattern, because one
pattern must serve English, Russian and Chinese:

- Combining marks stay with their letter (a stressed Russian vowel or a decomposed й is one word, not three pieces).
- Ideographs and kana are a class of their own: "Python程序" is two pieces, no token mixes Chinese and Latin letters.
- A token has at most `MAX_TOKEN_BYTES` bytes. Chinese has no spaces, so a piece is a whole clause there, and without
  the limit a frequent phrase of site boilerplate becomes one token.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from pretrain.tokenizing.special_tokens import SPECIAL_TOKENS
from pretrain.tokenizing.text_shards import find_shards, id_hashes, read_documents
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.atomic import write_bytes
from shards.errors import UserError

MIN_VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)
MAX_TOKEN_BYTES = 24  # 8 ideographs, 12 Cyrillic letters, any English word but a few chemical names

_IDEOGRAPH = r"\p{Han}\p{Hiragana}\p{Katakana}"
SPLIT = "|".join(
    (
        r"'(?i:s|d|m|t|ll|ve|re)(?!\p{L})",  # English contractions
        rf"[{_IDEOGRAPH}]+",
        # A word, with the space, quote or bracket before it.
        rf"[^\r\n\p{{L}}\p{{M}}\p{{N}}]?[\p{{L}}\p{{M}}&&[^{_IDEOGRAPH}]]+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
        # Spaces up to a line end; otherwise all but the last one, which goes with the word. The limit of 256 is for
        # pages that hold a million spaces: both patterns backtrack, and tiktoken's stack overflows there.
        r"\s{0,256}[\r\n]",
        r"\s{1,256}(?!\S)",
        r"\s",
    )
)

_SAMPLE_SEED = 1  # of the id hashes; another than the held-out split's, so that the two choices are independent


def train_tokenizer(shards: Sequence[Path], out: Path, *, vocab_size: int, sample_bytes: int) -> Tokenizer:
    """Learn a tokenizer from about `sample_bytes` of UTF-8 text and write it to `out`.

    The sample is the documents with the smallest id hashes, so it does not depend on how text is cut into files.
    Memory holds 16 bytes a document and the distinct pieces of the sample, never the text.

    UserError for a `vocab_size` below `MIN_VOCAB_SIZE` and for shards without text.
    """
    if vocab_size < MIN_VOCAB_SIZE:
        needed = f"at least {MIN_VOCAB_SIZE} (256 bytes and {len(SPECIAL_TOKENS)} special tokens)"
        raise UserError(f"vocab_size: expected {needed}, found {vocab_size}")
    files = find_shards(shards)
    max_hash = _max_sample_hash(files, sample_bytes)
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
    tokenizer.train_from_iterator(_sample(files, max_hash), trainer)
    write_bytes(out, tokenizer.to_str().encode())
    return Tokenizer(out)


def _max_sample_hash(files: Sequence[Path], sample_bytes: int) -> int:
    """The largest id hash in a sample of `sample_bytes`."""
    hashes_by_batch, sizes_by_batch = [np.zeros(0, np.uint64)], [np.zeros(0, int)]
    for file in files:
        for batch in read_documents(file, ["id", "text"]):
            hashes_by_batch.append(id_hashes(batch["id"], _SAMPLE_SEED))
            sizes_by_batch.append(pc.binary_length(batch["text"]).to_numpy())
    hashes, num_bytes = np.concatenate(hashes_by_batch), np.concatenate(sizes_by_batch)
    if not num_bytes.sum():
        count = f"{len(files)} shard{'' if len(files) == 1 else 's'}"
        raise UserError(f"{files[0]}: no text in {count}; name shards with text to learn a tokenizer from")
    order = np.argsort(hashes)
    last = np.searchsorted(np.cumsum(num_bytes[order]), sample_bytes)
    return int(hashes[order[min(int(last), len(order) - 1)]])


def _sample(files: Sequence[Path], max_hash: int) -> Iterator[list[str]]:
    for file in files:
        for batch in read_documents(file, ["id", "text"]):
            in_sample = id_hashes(batch["id"], _SAMPLE_SEED) <= max_hash
            yield batch["text"].filter(pa.array(in_sample)).to_pylist()
