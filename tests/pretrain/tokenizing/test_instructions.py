"""From files of instructions to tokens of which the answers alone are learned."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from training_runs import train

from pretrain.config import load_config
from pretrain.generate import generate
from pretrain.generation import Sampling
from pretrain.order.batch import NO_LABEL
from pretrain.order.loader import Loader
from pretrain.order.plan import make_plan
from pretrain.tokenizing.instructions import read_conversations, write_instructions
from pretrain.tokenizing.tokenize import tokenize_shards
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.errors import UserError
from shards.sink import read_table

ALPACA = [{"instruction": "Grind.", "input": "wheat", "output": "flour"}, {"instruction": "Stop.", "output": "I stop."}]
CHAT = {"messages": [{"role": "user", "content": "Bread?"}, {"role": "assistant", "content": "Soon."}]}
SHARE = {"conversations": [{"from": "human", "value": "Bread?"}, {"from": "gpt", "value": "Soon."}]}


def test_each_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "alpaca.json").write_text(json.dumps(ALPACA))
    (tmp_path / "chat.jsonl.gz").write_bytes(gzip.compress(f"{json.dumps(CHAT)}\n{json.dumps(SHARE)}\n".encode()))
    alpaca = [messages for _, messages in read_conversations(tmp_path / "alpaca.json")]
    assert [[(m.role, m.content) for m in messages] for messages in alpaca] == [
        [("user", "Grind.\n\nwheat"), ("assistant", "flour")],
        [("user", "Stop."), ("assistant", "I stop.")],
    ]
    (_, chat), (_, share) = read_conversations(tmp_path / "chat.jsonl.gz")
    assert chat == share
    assert [(m.role, m.content) for m in chat] == [("user", "Bread?"), ("assistant", "Soon.")]


def test_conversations_without_an_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [*ALPACA, {"instruction": "Say nothing.", "output": " "}, {"messages": [{"role": "user", "content": "?"}]}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    lines: list[str] = []
    write_instructions([tmp_path / "a.json"], tmp_path / "tuning", lines.append)
    assert lines == ["tuning/a: 2 conversations, 2 without an answer left out"]
    assert read_table(tmp_path / "tuning" / "a.arrow")["url"].to_pylist() == ["a.json#1", "a.json#2"]


@pytest.mark.parametrize(
    "text",
    [
        '{"prompt": "a", "completion": "b"}\n',
        '{"instruction": "a", "output": 3}\n',
        '{"messages": [{"role": "robot", "content": "a"}]}\n',
        '{"messages": []}\n',
        "[1]",
        "{",
    ],
)
def test_what_is_no_conversation_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"a\.jsonl: (entry|line) 1: "):
        list(read_conversations(tmp_path / "a.jsonl"))


@pytest.fixture
def tuning(tmp_path: Path, tokenizer_path: Path) -> Path:
    """The token folder of 60 conversations."""
    rows = [{"instruction": f"Grind {i}.", "input": "", "output": "flour " * (1 + i % 5)} for i in range(60)]
    (tmp_path / "alpaca.json").write_text(json.dumps(rows))
    write_instructions([tmp_path / "alpaca.json"], tmp_path / "text" / "tuning", lambda line: None)
    tokenize_shards(
        [tmp_path / "text" / "tuning"],
        tokenizer_path,
        tmp_path / "tuning-tokens",
        held_out_fraction=0.1,
        report=lambda line: None,
    )
    return tmp_path / "tuning-tokens" / "tuning"


def test_only_answers_and_ends_are_learned(tuning: Path, train_file: Callable[..., Path], tokenizer_path: Path) -> None:
    tokenizer = Tokenizer(tokenizer_path)
    plan = make_plan(load_config(train_file(source={"tuning": {"tokens": str(tuning)}}), {}))
    batch = Loader(plan).batch(0)
    seen = 0
    for tokens, labels, positions in zip(batch.tokens_BT, batch.labels_BT, batch.positions_BT, strict=True):
        starts = np.flatnonzero(positions == 0)
        for first, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
            learned = labels[first:end]
            learned = learned[learned != NO_LABEL]
            if len(learned) and learned[-1] == tokenizer.eos and tokens[first] == tokenizer.bos:
                answer = tokenizer.decode(learned[:-1].astype(np.uint32))
                assert set(answer.split()) == {"flour"}
                seen += 1
    assert seen > 3


@pytest.mark.slow
def test_a_tuned_model_answers_and_stops(
    tuning: Path, trained: Path, train_file: Callable[..., Path], tmp_path: Path
) -> None:
    train(
        train_file(
            init=str(trained),
            model=None,
            steps=60,
            batch_size=16,
            evaluate={"first": False},
            source={"tuning": {"tokens": str(tuning), "max_epochs": 1000.0}},
        )
    )
    (written,) = generate(tmp_path / "out", ["Grind 7."], sampling=Sampling(0), max_tokens=40, is_chat=True)
    assert set(written.text.split()) == {"flour"}
    assert written.ended
