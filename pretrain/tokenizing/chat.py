"""Conversations as text: one template for training, for `generate --chat` and for the exported folder.

    <|bos|>### user:
    How do mills work?

    ### assistant:
    Grain falls between two stones.<|eos|>

Each message is "### ", its role, ":" and a new line before its content, and a blank line is between two messages. The
markers are plain text, so any tokenizer has them, and pretrained models know their pieces. What the assistant says is
learned with the blank line after it or the end of the document; all else is read and not learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ROLES = ("system", "user", "assistant")
_BETWEEN, _MARK = "\n\n", "### "
TURN = _BETWEEN + _MARK  # what begins the next message, where the model does not end the document

# The same template in Jinja, as `transformers` applies it. The tokenizer puts the beginning of the document itself, and
# is told not to by `apply_chat_template`, so it stands here.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '### ' + message['role'] + ':\n' + message['content'].strip() }}"
    "{% if not loop.last or add_generation_prompt %}{{ '\n\n' }}{% else %}{{ eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant:\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str  # one of ROLES
    content: str


@dataclass(frozen=True)
class ChatText:
    """A conversation as one text."""

    text: str
    prompts: tuple[int, ...]
    """Start, end, … of the spans in UTF-8 bytes that are read and not learned."""


def chat_text(messages: Sequence[Message]) -> ChatText:
    """The text of a conversation, and its spans that are no answers."""
    text, spans, begin = "", [], 0
    for number, message in enumerate(messages):
        text += _heading(message.role)
        answer = message.content.strip() + (_BETWEEN if number < len(messages) - 1 else "")
        if message.role == "assistant":
            spans += [begin, len(text.encode())]
            begin = len((text + answer).encode())
        text += answer
    if begin < len(text.encode()):
        spans += [begin, len(text.encode())]
    return ChatText(text, tuple(spans))


def chat_prompt(messages: Sequence[Message]) -> str:
    """The text after which the assistant's next answer comes."""
    return chat_text(messages).text + _BETWEEN + _heading("assistant")


def _heading(role: str) -> str:
    return f"{_MARK}{role}:\n"
