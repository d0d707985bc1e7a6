from typing import Any

import pytest

from pretrain.tokenizing.special_tokens import UnknownRole, roles


def with_special(*contents: str, **keys: Any) -> dict[str, Any]:
    tokens = [{"id": id_, "content": content, "special": True} for id_, content in enumerate(contents)]
    return {"added_tokens": tokens, **keys}


def template(*names: str) -> dict[str, Any]:
    single = [{"Sequence": {"id": "A"}} if name == "A" else {"SpecialToken": {"id": name}} for name in names]
    return {"type": "TemplateProcessing", "single": single}


def test_a_post_processor_goes_before_names_that_are_known() -> None:
    both = with_special("<s>", "</s>", "<x>", "<y>", post_processor=template("<y>", "<x>", "A", "<s>"))
    assert roles(both) == ("<x>", "<s>")
    half = with_special("<s>", "</s>", "<x>", post_processor=template("<x>", "A"))
    assert roles(half) == ("<x>", "</s>")
    bert = with_special(
        "<a>", "<b>", post_processor={"type": "RobertaProcessing", "cls": ["<b>", 1], "sep": ["<a>", 0]}
    )
    assert roles(bert) == ("<b>", "<a>")


def test_our_own_names_are_the_first_of_those_that_are_known() -> None:
    assert roles(with_special("</s>", "<s>", "<|eos|>", "<|bos|>")) == ("<|bos|>", "<|eos|>")


def test_one_token_has_both_roles_where_there_is_no_other() -> None:
    assert roles(with_special("<|endoftext|>")) == ("<|endoftext|>", "<|endoftext|>")
    assert roles(with_special("<pad>", "</s>")) == ("</s>", "</s>")


def test_names_on_the_command_line_go_before_everything() -> None:
    tokens = with_special("<s>", "</s>", "<x>", post_processor=template("<s>", "A", "</s>"))
    assert roles(tokens, "<x>") == ("<x>", "</s>")
    assert roles(tokens, None, "<x>") == ("<s>", "<x>")


def test_an_added_token_that_is_not_special_has_no_role() -> None:
    tokens = with_special("<s>")
    tokens["added_tokens"][0]["special"] = False
    with pytest.raises(UnknownRole, match="none of 0 special tokens is known"):
        roles(tokens)
    with pytest.raises(UnknownRole, match="has no special token <s>, which --bos names"):
        roles(tokens, "<s>")
