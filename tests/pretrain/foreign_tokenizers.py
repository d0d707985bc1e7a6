"""Small tokenizers of the kinds that others publish, made by `tokenizers` itself from texts written for this test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "The mill grinds slowly, and every grain of wheat becomes flour. It's 1234 sacks; they'll be sold in 2024!",
    "A miller's daughter wrote: “The wheel isn't turning — the river's low.” She waited for the rain, and it came.",
    "def grind(grain):\n    return [flour for flour in grain if flour > 0]\n\n\tprint('done')\r\n",
    "Мельница мелет медленно, и каждое зерно пшеницы станет мукой. Ёлка стоит у воды; съёмка в 1999 году.",
    "Мельник сказал: «Колесо не вертится — река обмелела». Он ждал дождя, и дождь пошёл.",
    "磨坊慢慢地磨，每一粒小麦都变成面粉。2024年，他们卖了一千二百袋。用Python程序记录。",
    "磨坊主说：“水车不转了，河水太浅。”他等着下雨，雨终于来了。",
    "Café naïve à Zürich, e\u0301cole, й and и\u0306, Å and A\u030a; 한국어, カタカナとひらがな, עברית 👩‍👩‍👧 🇩🇪",
] * 3

_GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def gpt2() -> Tokenizer:
    """ByteLevel cuts by its own pattern; one special token begins and ends a text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder, made.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=False)
    return _bpe(made, ["<|endoftext|>"])


def llama3() -> Tokenizer:
    """Split and ByteLevel, `ignore_merges`, and special tokens after the vocabulary, as tiktoken's files become it."""
    made = Tokenizer(models.BPE(ignore_merges=True))
    made.pre_tokenizer = _split_and_bytes()
    made.decoder = decoders.ByteLevel()
    made = _bpe(made, [])
    made.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>"])
    begin = made.token_to_id("<|begin_of_text|>")
    template = processors.TemplateProcessing("<|begin_of_text|> $A", None, [("<|begin_of_text|>", begin)])
    made.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return made


def qwen() -> Tokenizer:
    """NFC before Split and ByteLevel; added tokens that are not special."""
    made = Tokenizer(models.BPE())
    made.normalizer, made.pre_tokenizer, made.decoder = normalizers.NFC(), _split_and_bytes(), decoders.ByteLevel()
    made = _bpe(made, [])
    made.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    made.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("<think>", normalized=False)])
    return made


def wordpiece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def unigram() -> Tokenizer:
    """T5's shape: Metaspace, a compatibility normalizer, and special tokens that are pieces of the model."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = processors.TemplateProcessing("$A </s>", None, [("</s>", 1)])
    return made


def sentencepiece_bpe() -> Tokenizer:
    """Llama 2's shape: no pre-tokenizer, ▁ for spaces, characters without a token as bytes."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trained.train_from_iterator(
        [text for text in TEXTS if text.isascii() or text[0] in "М"],
        trainers.BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False),
    )
    values = json.loads(trained.to_str())
    made = Tokenizer(
        models.BPE(
            values["model"]["vocab"],
            [tuple(merge) for merge in values["model"]["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    return made


KINDS: dict[str, Callable[[], Tokenizer]] = {
    made.__name__: made for made in (gpt2, llama3, qwen, wordpiece, unigram, sentencepiece_bpe)
}


def write(kind: str, folder: Path, **changes: Any) -> Path:
    """The tokenizer.json of a kind, with `changes` to its keys."""
    path = folder / f"{kind}.json"
    path.write_text(json.dumps(json.loads(KINDS[kind]().to_str()) | changes, ensure_ascii=False))
    return path


def oracle(path: Path) -> tokenizers.Tokenizer:
    """`tokenizers` with the file, which makes special tokens of no text."""
    plain = tokenizers.Tokenizer.from_file(str(path))
    plain.encode_special_tokens = True
    return plain


def _split_and_bytes() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_GPT4), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _bpe(made: Tokenizer, special: list[str]) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS, trainer)
    return made
