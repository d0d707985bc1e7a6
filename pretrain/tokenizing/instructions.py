"""Files of instructions with answers, as text shards whose prompts are masked.

    instruction, input, output                 Alpaca (Taori et al., 2023), BELLE
    messages: [{role, content}, …]             chats, as OpenAI and `transformers` have them
    conversations: [{from, value}, …]          chats, as ShareGPT has them: human and gpt

    JSON lines, or one JSON array; .gz        ──▶ SHARDS/<name>.arrow: id, url, text, masked

The text is that of `pretrain.tokenizing.chat`. From here on it is text like any other: `gristmill tokenize` turns the
masked spans into masked tokens, and training reads them and does not learn them.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash

from pretrain.tokenizing.chat import ROLES, Message, chat_text
from shards.errors import UserError
from shards.limits import check_limits
from shards.schema import MASKED
from shards.sink import ArrowSink

_SCHEMA = pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.large_string()), MASKED])
_ROWS = 1000  # of a batch
_ROLES = {"human": "user", "gpt": "assistant"}  # of ShareGPT


def write_instructions(files: Sequence[Path], out: Path, report: Callable[[str], None]) -> None:
    """Write a shard for each file to the folder `out`, whose name is that of the source.

    `report` is called with a line for each. Conversations without an answer are left out and counted. UserError, with
    file and line, for what is no conversation, and for two files of one name.
    """
    names = [file.name.split(".")[0] for file in files]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--to {out}: {names.count(name)} files are called {name}; write them to separate folders")
    for file, name in zip(files, names, strict=True):
        conversations, num_left_out, num_rows = read_conversations(file), 0, 0
        with ArrowSink(out / f"{name}.arrow", _SCHEMA) as sink:
            while batch := list(islice(conversations, _ROWS)):
                answered = [(place, messages) for place, messages in batch if _is_answered(messages)]
                num_left_out += len(batch) - len(answered)
                num_rows += len(answered)
                sink.write(_rows(file, answered))
        left_out = f", {num_left_out:,} without an answer left out" if num_left_out else ""
        report(f"{out.name}/{name}: {num_rows:,} conversations{left_out}")


def read_conversations(file: Path) -> Iterator[tuple[int, list[Message]]]:
    """(number of the line or entry, from 1, messages) of each conversation."""
    try:
        data = file.read_bytes()
        data = gzip.decompress(data) if file.suffix == ".gz" else data
    except (OSError, EOFError) as error:
        check_limits(file, error)
        raise UserError(f"{file}: cannot be read ({error})") from None
    for number, value in enumerate(_values(file, data), 1):
        messages = _messages(value)
        if not messages:
            found = ", ".join(value) if isinstance(value, dict) else "no object"
            raise UserError(
                f"{file}: entry {number}: expected instruction and output, messages, or conversations, each of texts; "
                f"found {found}"
            )
        yield number, messages


def _values(file: Path, data: bytes) -> Iterator[Any]:
    is_array = data.lstrip()[:1] == b"["
    for number, line in enumerate([data] if is_array else data.splitlines(), 1):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UserError(f"{file}: line {number}: not JSON ({error})") from None
        yield from value if is_array else [value]


def _messages(value: Any) -> list[Message]:
    """The messages of a conversation; none where the value is none."""
    match value:
        case {"instruction": str(instruction), "output": str(output)}:
            more = value.get("input") or ""
            if not isinstance(more, str):
                return []
            asked = f"{instruction}\n\n{more}" if more.strip() else instruction
            return [Message("user", asked), Message("assistant", output)]
        case {"messages": [*turns]}:
            found = [(turn.get("role"), turn.get("content")) for turn in turns if isinstance(turn, dict)]
        case {"conversations": [*turns]}:
            found = [(turn.get("from"), turn.get("value")) for turn in turns if isinstance(turn, dict)]
        case _:
            return []
    messages = [
        Message(_ROLES.get(role, role), text) for role, text in found if isinstance(role, str) and isinstance(text, str)
    ]
    is_whole = len(messages) == len(turns) and all(message.role in ROLES for message in messages)
    return messages if is_whole else []


def _is_answered(messages: Sequence[Message]) -> bool:
    """Whether the assistant has the last word, and says something each time."""
    answers = [message.content.strip() for message in messages if message.role == "assistant"]
    return messages[-1].role == "assistant" and all(answers)


def _rows(file: Path, conversations: Sequence[tuple[int, list[Message]]]) -> pa.RecordBatch:
    texts = [chat_text(messages) for _, messages in conversations]
    columns = [
        [xxhash.xxh3_128_hexdigest(one.text.encode()) for one in texts],
        [f"{file.name}#{number}" for number, _ in conversations],
        [one.text for one in texts],
        [list(one.prompts) for one in texts],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)
