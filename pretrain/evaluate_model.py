"""`gristmill eval`: tasks and texts, scored by a model on disk."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pretrain.cpu_threads import use_cores_at_hand
from pretrain.generation import Reader, Sampling, as_text, continued
from pretrain.log_likelihoods import Text, log_likelihoods
from pretrain.model import Model
from pretrain.order.plan import SETTINGS
from pretrain.parallel import choose_device
from pretrain.ranks import Ranks
from pretrain.saved_model import SavedModel, made_model, read_model
from pretrain.tasks.questions import read_task
from pretrain.tasks.scoring import answer_task, figures
from pretrain.text_bits import Document, Group, TextFigures, documents_of_texts, held_out_tokens, measured
from shards.atomic import atomic_file
from shards.config import load_toml
from shards.errors import UserError
from shards.token_manifest import token_folder


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model."""

    texts: dict[Group, TextFigures]
    tasks: dict[str, dict[str, float]]


def evaluate_model(
    path: Path,
    *,
    tasks: Sequence[Path] = (),
    texts: Sequence[Path] = (),
    fraction: float | None = None,
    bucket: str | None = None,
    max_tokens: int = 1_000_000,
    shots: int | None = None,
    think_tokens: int = 0,
    answers_to: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Score the tasks, and the documents of `texts` or, where neither is given, those that its training held out.

    `fraction` and `bucket` are those of `documents_of_texts`; of each source about `max_tokens` are scored. `shots`
    examples stand in each prompt, by default as many as is usual for the task. With `think_tokens` the model writes
    its thoughts before it chooses a letter. Questions with prompts and scores go to `answers_to` as JSON lines.
    """
    read = [read_task(task) for task in tasks]
    use_cores_at_hand()
    saved, device = read_model(path), choose_device("auto", Ranks())
    model, is_cuda = made_model(saved, device), device.type == "cuda"

    def scores(texts: Sequence[Text]) -> np.ndarray:
        return log_likelihoods(model, texts, autocast=is_cuda)

    def thinks(prompt: str) -> str:
        return _written(model, saved, prompt, think_tokens, autocast=is_cuda)

    found, records = {}, []
    for task in read:
        answered = answer_task(
            task,
            saved.tokenizer,
            scores,
            max_length=saved.max_length,
            shots=shots,
            thinks=thinks if think_tokens else None,
        )
        found[task.name] = figures(task.kind, answered)
        records += [one.record(task) for one in answered]
        report(f"{task.name}: {len(answered):,} questions")
    if answers_to is not None:
        _write_lines(answers_to, records)
    documents: Iterator[Document] = iter(())
    if texts:
        documents = documents_of_texts(texts, saved.tokenizer, fraction=fraction, bucket=bucket, max_tokens=max_tokens)
    elif not tasks:
        documents = _held_out(saved, max_tokens)
    return Evaluation(measured(documents, scores, saved.max_length), found)


def _held_out(saved: SavedModel, max_tokens: int) -> Iterator[Document]:
    """The held-out documents of the sources of the model's training."""
    checkpoint = saved.folder.checkpoint
    if checkpoint is None:
        raise UserError(f"{saved.folder.path}: has no training with held-out documents; give --task or --texts")
    sources = load_toml(checkpoint.parents[1] / SETTINGS)["source"]
    return chain.from_iterable(
        held_out_tokens(name, token_folder(source["tokens"]), saved.tokenizer, max_tokens)
        for name, source in sources.items()
    )


def _written(model: Model, saved: SavedModel, prompt: str, max_tokens: int, *, autocast: bool) -> str:
    """What the model writes after the prompt, taking the likeliest token each time, up to a blank line."""
    tokenizer = saved.tokenizer
    ids = [tokenizer.bos, *tokenizer.encode_batch([prompt], 1)[0].tolist()]
    reader = Reader(model, max_length=saved.max_length, autocast=autocast)
    tokens = continued(reader, ids, Sampling(0), torch.Generator(), max_tokens=max_tokens, end=tokenizer.eos)
    written = ""
    for piece in as_text(tokenizer, ids, tokens):
        written += piece
        if "\n\n" in written:
            break
    return written.split("\n\n")[0]


def _write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    with atomic_file(path) as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
