"""The roles of special tokens: which one begins a text, and which one ends it.

In this order, each role by itself:

1. the names that the user gives;
2. what the file's post-processor puts before and after a text (TemplateProcessing, BertProcessing, RobertaProcessing);
3. the first of `BEGINS` or `ENDS` among the file's special tokens;
4. the token of the other role, as T5 has none that begins a text. GPT-2's one token has both roles by the third rule.
"""

from typing import Any

from pretrain.tokenizing.byte_level import steps

BOS, EOS, PAD = SPECIAL_TOKENS = ("<|bos|>", "<|eos|>", "<|pad|>")  # of the tokenizers that we train

# Names of published tokenizers: ours, Llama 2 and SentencePiece, Llama 3, Gemma, DeepSeek, BERT, GPT-2 and Qwen.
BEGINS = (BOS, "<s>", "<|begin_of_text|>", "<bos>", "<｜begin▁of▁sentence｜>", "[CLS]", "<|endoftext|>")
ENDS = (EOS, "</s>", "<|end_of_text|>", "<eos>", "<｜end▁of▁sentence｜>", "[SEP]", "<|endoftext|>")


class UnknownRole(Exception):
    """No token of the file is known to have a role, or one that the user names is none of its special tokens."""


def with_roles(tokenizer: dict[str, Any], bos: str | None, eos: str | None) -> dict[str, Any]:
    """`tokenizer` with a post-processor that names the roles of `bos` and `eos`, so that the file alone says them."""
    if bos is None and eos is None:
        return tokenizer
    begin, end = roles(tokenizer, bos, eos)
    ids = _special_ids(tokenizer)
    text = {"Sequence": {"id": "A", "type_id": 0}}
    before, after = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (begin, end))
    pair = {"Sequence": {"id": "B", "type_id": 0}}
    return tokenizer | {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [before, text, after],
            "pair": [before, text, after, before, pair, after],
            "special_tokens": {
                token: {"id": token, "ids": [ids[token]], "tokens": [token]} for token in sorted({begin, end})
            },
        }
    }


def with_beginning(tokenizer: dict[str, Any], bos: str) -> dict[str, Any]:
    """`tokenizer` with a post-processor that puts `bos` before a text and nothing after it, as a model continues it."""
    (begin, text) = {"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return tokenizer | {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, text],
            "pair": [begin, text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {bos: {"id": bos, "ids": [_special_ids(tokenizer)[bos]], "tokens": [bos]}},
        }
    }


def roles(tokenizer: dict[str, Any], bos: str | None = None, eos: str | None = None) -> tuple[str, str]:
    """The token that begins a text and the one that ends it, by the rule of this module; UnknownRole without one."""
    special, (before, after) = _special_ids(tokenizer), _around_a_text(tokenizer)
    for option, named in (("--bos", bos), ("--eos", eos)):
        if named is not None and named not in special:
            raise UnknownRole(f"added_tokens: has no special token {named}, which {option} names")
    begin, end = (
        named or next((token for token in (framing, *known) if token in special), None)
        for named, framing, known in ((bos, before, BEGINS), (eos, after, ENDS))
    )
    if begin is None and end is None:
        raise UnknownRole(
            f"added_tokens: none of {len(special)} special tokens is known to begin or end a text; name them by --bos "
            "and --eos"
        )
    return begin or end or "", end or begin or ""


def _special_ids(tokenizer: dict[str, Any]) -> dict[str, int]:
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"] if token["special"]}


def _around_a_text(tokenizer: dict[str, Any]) -> tuple[str | None, str | None]:
    """The tokens that the post-processor puts directly before and after a text, None where it puts none."""
    for step in steps(tokenizer, "post_processor"):
        match step:
            case {"type": "BertProcessing" | "RobertaProcessing", "cls": cls, "sep": sep}:
                return cls[0], sep[0]
            case {"type": "TemplateProcessing", "single": single}:
                names = [piece.get("SpecialToken", {}).get("id") for piece in single]
                text = names.index(None)
                return next(iter(names[:text][::-1]), None), next(iter(names[text + 1 :]), None)
    return None, None
