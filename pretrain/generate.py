"""`gristmill generate`: text after prompts, from a checkpoint or a folder of Hugging Face."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pretrain.cpu_threads import use_cores_at_hand
from pretrain.generation import Reader, Sampling, as_text, continued
from pretrain.parallel import choose_device
from pretrain.ranks import Ranks
from pretrain.saved_model import made_model, read_model
from pretrain.tokenizing.chat import TURN, Message, chat_prompt
from shards.errors import UserError


@dataclass(frozen=True)
class Written:
    """What followed a prompt."""

    prompt: str
    text: str
    num_tokens: int
    ended: bool  # by the model, and not by the limit of tokens


def generate(
    model_path: Path,
    prompts: Sequence[str],
    *,
    sampling: Sampling,
    max_tokens: int,
    seed: int = 0,
    is_chat: bool = False,
    begins: Callable[[str], None] = lambda prompt: None,
    writes: Callable[[str], None] = lambda piece: None,
    ends: Callable[[], None] = lambda: None,
) -> list[Written]:
    """Continue each prompt, which begins a document; with `is_chat` it is a question, and the answer is written.

    `begins` is called with each prompt, `writes` with each piece of its text as it is there, and then `ends`. Each
    prompt has the random numbers of `seed`, whatever other prompts there are.
    """
    if sampling.temperature < 0 or not 0 < sampling.top_p <= 1:
        raise UserError(
            f"--temperature {sampling.temperature:g}, --top-p {sampling.top_p:g}: expected 0 or more, and more than 0 "
            "up to 1"
        )
    use_cores_at_hand()
    saved, device = read_model(model_path), choose_device("auto", Ranks())
    model, tokenizer = made_model(saved, device), saved.tokenizer
    done = []
    for prompt in prompts:
        begins(prompt)
        text = chat_prompt([Message("user", prompt)]) if is_chat else prompt
        ids = [tokenizer.bos, *tokenizer.encode_batch([text], 1)[0].tolist()]
        reader = Reader(model, max_length=saved.max_length, autocast=device.type == "cuda")
        stream = _Counted(
            continued(
                reader,
                ids,
                sampling,
                torch.Generator().manual_seed(seed),
                max_tokens=max_tokens,
                end=tokenizer.eos,
            )
        )
        written = ""
        for piece in _until(TURN if is_chat else None, as_text(tokenizer, ids, stream)):
            written += piece
            writes(piece)
        ends()
        done.append(Written(prompt, written, stream.count, stream.count < max_tokens))
    return done


class _Counted(Iterator[int]):
    """Tokens, and how many have come."""

    def __init__(self, tokens: Iterator[int]) -> None:
        self._tokens, self.count = tokens, 0

    def __next__(self) -> int:
        token = next(self._tokens)
        self.count += 1
        return token


def _until(mark: str | None, pieces: Iterator[str]) -> Iterator[str]:
    """The pieces up to `mark`, which may be cut by their bounds."""
    if mark is None:
        yield from pieces
        return
    held = ""
    for piece in pieces:
        held += piece
        if mark in held:
            yield held[: held.index(mark)]
            return
        sure = len(held) - max((n for n in range(len(mark)) if held.endswith(mark[:n])), default=0)
        yield held[:sure]
        held = held[sure:]
    yield held
