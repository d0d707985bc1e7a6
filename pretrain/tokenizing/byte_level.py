"""Byte-level BPE in tiktoken, which encodes several times as fast as `tokenizers` and gives the same ids.

`tokenizers` merges the pair that stands first in a list of merges. tiktoken merges any pair whose bytes together are an
entry, the lowest id first, and takes a piece that is an entry as a whole. The two agree where the ids ascend with the
merges, no merge has a part that is made later, and every entry is what merges alone make of its own bytes: pieces
between two bounds of an encoding are encoded as they would be alone, so a pair that is an entry without being a merge
then never comes to stand side by side.
"""

import json
import re
from typing import Any

import tiktoken
import tokenizers

# The pattern of a ByteLevel pre-tokenizer that cuts text itself: GPT-2's (Radford et al., 2019; `encoder.py`).
_GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_BYTES = 256


def _byte_characters() -> list[str]:
    """The printable character that stands for each byte 0 … 255 in a byte-level vocabulary, as GPT-2 defined it."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = iter(range(_BYTES, 2 * _BYTES))
    return [chr(byte if byte in plain else next(shifted)) for byte in range(_BYTES)]


CHARACTER_OF = _byte_characters()
BYTE_OF = {character: byte for byte, character in enumerate(CHARACTER_OF)}


def token_bytes(token: str) -> bytes:
    """The bytes that an entry of a byte-level vocabulary stands for; KeyError where it is no such entry."""
    return bytes(BYTE_OF[character] for character in token)


def token_name(token: bytes) -> str:
    """The entry of a byte-level vocabulary that stands for `token`."""
    return "".join(CHARACTER_OF[byte] for byte in token)


def steps(tokenizer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The steps of a tokenizer.json's `normalizer`, `pre_tokenizer` or `post_processor`, a Sequence in its order."""
    step = tokenizer.get(key)
    if not step:
        return []
    inner = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors"}[key]
    return [*step[inner]] if step.get("type") == "Sequence" else [step]


def is_byte_level(tokenizer: dict[str, Any]) -> bool:
    """Whether all entries but the added tokens stand for bytes of the text, and none is added before it."""
    byte_level = [step for step in steps(tokenizer, "pre_tokenizer") if step["type"] == "ByteLevel"]
    return bool(byte_level) and not byte_level[-1].get("add_prefix_space", True)


def split_pattern(tokenizer: dict[str, Any]) -> str | None:
    """The pattern by which a byte-level tokenizer.json cuts its text; None where it is no plain pattern."""
    match steps(tokenizer, "pre_tokenizer"):
        case [{"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}]:
            return _GPT2_PATTERN
        case [
            {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ]:
            return str(pattern["Regex"]) if "Regex" in pattern else re.escape(pattern["String"])
    return None


def tiktoken_encoding(tokenizer: dict[str, Any]) -> tiktoken.Encoding | None:
    """The same tokenizer in tiktoken, but for its normalizer; None where ids could differ or it is of another kind.

    It knows no added tokens.
    """
    model, pattern = tokenizer["model"], split_pattern(tokenizer)
    if model.get("type", "BPE") != "BPE" or pattern is None or any(model.get(key) for key in _OTHER_MODELS):
        return None
    added = {token["content"] for token in tokenizer["added_tokens"]}
    entries = {token: id_ for token, id_ in model["vocab"].items() if token not in added}
    if not _agree(entries, merge_pairs(model["merges"]), model["vocab"]):
        return None
    ranks = {token_bytes(token): id_ for token, id_ in entries.items()}
    return tiktoken.Encoding("gristmill", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


_OTHER_MODELS = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")


def _agree(entries: dict[str, int], merges: list[tuple[str, str]], vocab: dict[str, int]) -> bool:
    """Whether tiktoken's rule gives what the merges give, as the module says."""
    if not BYTE_OF.keys() <= entries.keys() or not all(BYTE_OF.keys() >= set(token) for token in entries):
        return False
    last = -1
    for first, second in merges:
        made = vocab[first + second]
        if made < last or not max(vocab[first], vocab[second]) < made:
            return False
        last = made
    model = {"type": "BPE", "vocab": vocab, "merges": merges}
    alone = tokenizers.Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    encoded = alone.encode_batch_fast([*entries], add_special_tokens=False)
    return all(len(one.ids) == 1 for one in encoded)


def merge_pairs(merges: list[Any]) -> list[tuple[str, str]]:
    """Merges as pairs; older files write a pair as one string with a space."""
    pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in merges)
    return [(first, second) for first, second in pairs]
