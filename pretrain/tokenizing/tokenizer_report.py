"""What a tokenizer makes of text shards: bytes a token by source and language, entries that no text uses, and what an
extension of it would gain.

Bytes a token compare tokenizers on one text: the more, the fewer tokens a model reads and writes for it. An extension
is learned from one half of the documents and measured on the other, so that it does not gain by heart.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import tokenizers

from pretrain.tokenizing.byte_level import is_byte_level
from pretrain.tokenizing.sample import Sample, draw_sample
from pretrain.tokenizing.text_shards import find_shards
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.tokenizing.tokenizer_extension import Base, extension
from pretrain.tokenizing.tokenizer_training import within_memory


@dataclass(frozen=True)
class TextCost:
    """The texts of one source and language, and their tokens."""

    source: str
    language: str | None  # None: the shards do not tell
    num_documents: int
    num_bytes: int  # of UTF-8
    num_tokens: int  # without special tokens
    num_extended_tokens: int | None  # of the extension, None without one


@dataclass(frozen=True)
class TokenizerReport:
    """A tokenizer on a sample of texts."""

    vocab_size: int
    costs: tuple[TextCost, ...]  # by source and language
    unused: tuple[str, ...]  # entries that no text of the sample uses, by id; neither added tokens nor single bytes
    num_new: int  # entries of the extension, 0 without one
    num_new_used: int  # of these, the ones that a text of the sample uses


def report_tokenizer(
    path: Path,
    shards: Sequence[Path],
    *,
    sample_bytes: int,
    num_new: int = 0,
    weights: Mapping[str, float] | None = None,
    max_memory: int | None = None,
    report: Callable[[str], None] = lambda line: None,
    bos: str | None = None,
    eos: str | None = None,
) -> TokenizerReport:
    """Measure a tokenizer.json on about `sample_bytes` of text, and an extension by at most `num_new` entries.

    The sample is drawn as `train_tokenizer` does. `bos` and `eos` name special tokens whose roles the file does not
    tell. UserError for a tokenizer that cannot be extended.
    """
    shards = find_shards(shards)
    tokenizer = Tokenizer(path, bos, eos)
    sample = draw_sample(shards, sample_bytes, weights, report)
    extended = None
    if num_new:
        base, learned_from = Base.of(path, tokenizer), replace(sample, half=0)
        _, values = within_memory(
            lambda part, memory: extension(base, part, num_new, memory), learned_from, max_memory, report
        )
        extended = tokenizers.Tokenizer.from_str(json.dumps(values))
        extended.encode_special_tokens = True
        sample = replace(sample, half=1)
    uses, new_uses, costs = _measured(sample, tokenizer, extended)
    first_new = tokenizer.vocab_size
    return TokenizerReport(
        vocab_size=tokenizer.vocab_size,
        costs=costs,
        unused=_unused(tokenizer, uses),
        num_new=max(0, extended.get_vocab_size() - len(tokenizer.ids)) if extended else 0,
        num_new_used=sum(id_ >= first_new for id_ in new_uses),
    )


def _measured(
    sample: Sample, tokenizer: Tokenizer, extended: tokenizers.Tokenizer | None
) -> tuple[np.ndarray, Counter[int], tuple[TextCost, ...]]:
    """How often each id is used, how often each of the extension's is, and the costs."""
    uses, new_uses = np.zeros(tokenizer.vocab_size, np.int64), Counter[int]()
    totals: dict[tuple[str, str | None], np.ndarray] = {}
    for source, batch in sample.documents("language"):
        texts = batch["text"].to_pylist()
        known = "language" in batch.schema.names
        languages = batch["language"].to_pylist() if known else [None] * len(texts)
        encoded = tokenizer.encode_batch(texts)
        again = extended.encode_batch_fast(texts, add_special_tokens=False) if extended else []
        sizes = pc.binary_length(batch["text"]).to_pylist()
        for i, (language, num_bytes, ids) in enumerate(zip(languages, sizes, encoded, strict=True)):
            np.add.at(uses, ids, 1)
            new_ids = again[i].ids if extended else []
            new_uses.update(new_ids)
            total = totals.setdefault((source, language), np.zeros(4, np.int64))
            total += (1, num_bytes, len(ids), len(new_ids))
    costs = (
        TextCost(source, language, int(total[0]), int(total[1]), int(total[2]), int(total[3]) if extended else None)
        for (source, language), total in sorted(totals.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    )
    return uses, new_uses, tuple(costs)


def _unused(tokenizer: Tokenizer, uses: np.ndarray) -> tuple[str, ...]:
    values = json.loads(tokenizer.json)
    added = {token["content"] for token in values["added_tokens"]}
    single = 1 if is_byte_level(values) else 0
    entries = sorted(tokenizer.ids.items(), key=lambda entry: entry[1])
    return tuple(
        entry
        for entry, id_ in entries
        if not uses[id_] and entry not in added and len(entry) > single and not entry.startswith("<0x")
    )
