"""A tokenizer.json as Hugging Face's `tokenizers` writes it, ours or a foreign one, with the ids that it gives there.

tiktoken encodes where the file is plain byte-level BPE (`byte_level.py`), 3 to 5 times as fast; `tokenizers` itself
encodes everything else: WordPiece, Unigram, SentencePiece's BPE with byte fallback. A file that would lose text without
a word, or give other ids another time, is refused by the key that makes it so.
"""

import hashlib
import json
import os
import re
import unicodedata
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from pretrain.tokenizing.byte_level import BYTE_OF, is_byte_level, steps, tiktoken_encoding
from pretrain.tokenizing.special_tokens import UnknownRole, roles, with_roles
from shards import mirror
from shards.cores import usable_cores
from shards.errors import UserError
from shards.limits import check_limits

# Runs that tiktoken's regular expressions cannot backtrack over: their stack overflows at a million spaces.
_LONG = 100_000
_LONG_RUN = re.compile(rf"\s{{{_LONG}}}")
_MODELS = ("BPE", "WordPiece", "Unigram", "WordLevel")
_NFC = [{"type": "NFC"}]


class Tokenizer:
    """A trained tokenizer. Special tokens are never made from text: a page that says "<|eos|>" is ordinary text.

    json         the file, with the roles that the caller names (`special_tokens.with_roles`)
    sha256       of it
    bos, eos     ids of the tokens that begin and end a document
    vocab_size   the largest id, plus 1
    """

    def __init__(self, path: Path, bos: str | None = None, eos: str | None = None) -> None:
        """Read `path`; `bos` and `eos` name special tokens whose roles the file does not tell.

        UserError where the file is missing, cannot be read by `tokenizers`, loses text, or tells no roles.
        """
        self._path = path
        try:
            self.json = mirror.read_bytes(path)
            values = with_roles(json.loads(self.json), bos, eos)
            if (bos, eos) != (None, None):
                self.json = json.dumps(values, ensure_ascii=False).encode()
            begin, end = roles(values)
            _check(values)
            self._values = values
            self._encoding = tiktoken_encoding(values) if steps(values, "normalizer") in ([], _NFC) else None
            self._plain.no_padding()  # raises here what is wrong with a file that tiktoken does not read
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; make one with `gristmill tokenizer train`") from None
        except OSError as error:
            check_limits(path, error)
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        except (_Refused, UnknownRole) as error:
            raise UserError(f"{path}: {error}") from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a tokenizer.json that tokenizers reads ({error!r})") from None
        self.sha256 = hashlib.sha256(self.json).hexdigest()
        self.ids = _ids(values)
        self.bos, self.eos = self.ids[begin], self.ids[end]
        self.vocab_size = max(self.ids.values()) + 1

    def encode_batch(self, texts: Sequence[str], num_threads: int | None = None) -> list[np.ndarray]:
        """uint32[tokens] of each text, without special tokens; on all cores if `num_threads` is not given.

        UserError, with the file, where the tokenizer has no token for a character and none for unknown ones.
        """
        num_threads = num_threads or usable_cores()
        encode = self._encode_plainly if self._encoding is None else self._encode
        if num_threads == 1 or len(texts) < 2:
            return encode(texts)
        with ThreadPoolExecutor(num_threads) as threads:
            parts = [texts[first::num_threads] for first in range(num_threads)]
            encoded = [np.zeros(0, np.uint32)] * len(texts)
            for first, part in enumerate(threads.map(encode, parts)):
                encoded[first::num_threads] = part
        return encoded

    def decode(self, ids: np.ndarray) -> str:
        """The text of these tokens; special ones are written out, and bytes of a cut character are U+FFFD."""
        text: str = self._whole.decode(ids.tolist(), skip_special_tokens=False)
        return text

    def byte_spans(self, text: str, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64[tokens] twice: the bytes of `text` from start to end (exclusive) that each of its tokens stands for.

        Both ascend. Where tokens are not the text byte for byte, a token that stands for a part of a character has the
        whole character with its combining marks, and bytes that the tokenizer drops, as spaces between words may be,
        belong to no token.
        """
        if self.num_bytes is not None:
            ends = np.cumsum(self.num_bytes[ids])
            if not len(ids) or ends[-1] == len(text.encode()):  # else an added token has taken spaces around it
                return ends - self.num_bytes[ids], ends
        encoded = self._plain.encode(text, add_special_tokens=False)
        assert np.array_equal(encoded.ids, ids), "the ids are those of another text"
        starts, ends = np.array(encoded.offsets, np.int64).reshape(-1, 2).T
        ends = np.maximum(ends, np.minimum(_ends_with_marks(text)[ends], np.append(starts[1:], len(text))[: len(ends)]))
        byte_of = np.cumsum([0] + [len(character.encode()) for character in text])
        return byte_of[starts], byte_of[ends]

    @cached_property
    def num_bytes(self) -> np.ndarray | None:
        """int64[vocabulary]: UTF-8 bytes that each token stands for; over a text's tokens they sum to the text's.

        None where a token's bytes are not those of the text: where there is a normalizer, or the model knows no bytes.
        """
        if steps(self._values, "normalizer") or not is_byte_level(self._values):
            return None
        num_bytes = np.zeros(self.vocab_size, np.int64)
        added = {token["content"] for token in self._values["added_tokens"]}
        for token, id_ in self.ids.items():
            num_bytes[id_] = len(token.encode()) if token in added else len(token)
        return num_bytes

    @cached_property
    def _whole(self) -> tokenizers.Tokenizer:
        """The file as it is, special tokens and all."""
        return tokenizers.Tokenizer.from_str(self.json.decode())

    @cached_property
    def _plain(self) -> tokenizers.Tokenizer:
        """The tokenizer as `tokenizers` has it, which makes special tokens of no text."""
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads are ours, as many as the caller says
        try:
            plain = tokenizers.Tokenizer.from_str(json.dumps(_without_special_pieces(self._values)))
        except Exception as error:  # the class that tokenizers raises  # noqa: BLE001
            raise _Refused(f"not a tokenizer.json that tokenizers {tokenizers.__version__} reads: {error}") from None
        plain.encode_special_tokens = True
        return plain

    @cached_property
    def _added_from_text(self) -> re.Pattern[str] | None:
        """Added tokens that are made from text, as they are not special; texts with one are encoded by `tokenizers`."""
        added = [token["content"] for token in self._values["added_tokens"] if not token["special"]]
        return re.compile("|".join(map(re.escape, added))) if added else None

    def _encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [self._encode_fast(text) for text in texts]

    def _encode_fast(self, text: str) -> np.ndarray:
        normal = text
        if steps(self._values, "normalizer") and not text.isascii():
            normal = self._plain.normalizer.normalize_str(text)
        added = self._added_from_text
        if (added and (added.search(text) or added.search(normal))) or (len(text) > _LONG and _LONG_RUN.search(text)):
            return self._encode_plainly([text])[0]
        assert self._encoding is not None
        ids: np.ndarray = self._encoding.encode_to_numpy(normal, disallowed_special=())
        return ids

    def _encode_plainly(self, texts: Sequence[str]) -> list[np.ndarray]:
        try:
            encoded = self._plain.encode_batch_fast(texts, add_special_tokens=False)
        except Exception as error:  # the class that tokenizers raises  # noqa: BLE001
            raise UserError(
                f"{self._path}: cannot encode a text ({error}); give it a token for what it lacks"
            ) from None
        return [np.frombuffer(array("I", one.ids), np.uint32) for one in encoded]  # three times as fast as np.array


def _ends_with_marks(text: str) -> np.ndarray:
    """int64[characters + 1]: for an end in `text`, that after the combining marks which follow it."""
    ends = np.arange(len(text) + 1)
    for i in range(len(text) - 1, -1, -1):
        if unicodedata.category(text[i])[0] == "M":
            ends[i] = ends[i + 1]
    return ends


class _Refused(Exception):
    """The file says something that would lose text, or is no tokenizer.json."""


def _check(values: dict[str, Any]) -> None:
    """_Refused, with the key, for what changes or loses text without a word."""
    model = values["model"]
    if model.get("type", "BPE") not in _MODELS:
        raise _Refused(f"model.type: is {model['type']}, and {', '.join(_MODELS)} are supported")
    for key, value in (
        ("truncation", values.get("truncation")),
        ("padding", values.get("padding")),
        ("model.dropout", model.get("dropout")),
        ("model.alpha", model.get("alpha")),
        ("model.nbest_size", model.get("nbest_size")),
    ):
        if value:
            shown = json.dumps(value, ensure_ascii=False)[:60]
            raise _Refused(f"{key}: is {shown}, and a document's tokens would not be all of it; set it to null")
    if model.get("type", "BPE") != "BPE" or model.get("unk_token") is not None or model.get("byte_fallback"):
        return
    if missing := BYTE_OF.keys() - model["vocab"].keys():
        what = f"{len(missing)} of 256 bytes" if is_byte_level(values) else "characters"
        raise _Refused(f"model.vocab: has no token for {what} and model.unk_token is null, so text would be lost")


def _without_special_pieces(values: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer without the pieces of a Unigram model that are special tokens, which it would find in texts."""
    if values["model"].get("type") != "Unigram":
        return values
    special = {token["content"] for token in values["added_tokens"] if token["special"]}
    vocab = [(f"\uffff{piece}" if piece in special else piece, score) for piece, score in values["model"]["vocab"]]
    return values | {"model": values["model"] | {"vocab": vocab}}


def _ids(values: dict[str, Any]) -> dict[str, int]:
    """Token → id, added tokens with them."""
    vocab = values["model"]["vocab"]
    ids = {piece: id_ for id_, (piece, _) in enumerate(vocab)} if isinstance(vocab, list) else dict(vocab)
    return ids | {token["content"]: token["id"] for token in values["added_tokens"]}
