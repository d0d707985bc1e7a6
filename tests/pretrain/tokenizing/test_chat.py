"""The template of conversations."""

from pretrain.tokenizing.chat import Message, chat_prompt, chat_text

TALK = [
    Message("system", "You are a miller."),
    Message("user", " Mahlst du Körner? "),
    Message("assistant", "Ja.\n"),
    Message("user", "磨什么？"),
    Message("assistant", "Weizen."),
]


def test_a_conversation_is_one_text() -> None:
    assert chat_text(TALK).text == (
        "### system:\nYou are a miller.\n\n### user:\nMahlst du Körner?\n\n### assistant:\nJa.\n\n"
        "### user:\n磨什么？\n\n### assistant:\nWeizen."
    )


def test_all_but_the_answers_is_masked() -> None:
    made = chat_text(TALK)
    data, learned, end = made.text.encode(), [], 0
    for first, last in zip(made.prompts[::2], made.prompts[1::2], strict=True):
        learned.append(data[end:first].decode())
        end = last
    assert [*learned, data[end:].decode()] == ["", "Ja.\n\n", "Weizen."]


def test_a_question_alone_is_masked_as_a_whole() -> None:
    made = chat_text(TALK[:2])
    assert made.prompts == (0, len(made.text.encode()))


def test_the_prompt_of_an_answer_is_what_stands_before_it_in_training() -> None:
    assert chat_text(TALK).text == chat_prompt(TALK[:-1]) + "Weizen."
