"""`gristmill generate`."""

import json
from pathlib import Path

import pytest
from command import gristmill

from pretrain.generate import _until, generate
from pretrain.generation import Sampling
from shards.errors import UserError


def test_each_prompt_has_the_random_numbers_of_the_seed(trained: Path) -> None:
    def texts(*prompts: str, seed: int = 0) -> list[str]:
        return [one.text for one in generate(trained, prompts, sampling=Sampling(1.0), max_tokens=30, seed=seed)]

    first, second = texts("The mill", "")
    assert texts("", "The mill") == [second, first]
    assert texts("The mill", seed=1) != [first]


def test_text_is_streamed_as_it_is_returned(trained: Path) -> None:
    events: list[str] = []
    (written,) = generate(
        trained,
        ["The"],
        sampling=Sampling(0),
        max_tokens=9,
        begins=lambda prompt: events.append(f"<{prompt}>"),
        writes=events.append,
        ends=lambda: events.append("<end>"),
    )
    assert (events[0], events[-1]) == ("<The>", "<end>")
    assert "".join(events[1:-1]) == written.text
    assert written.ended == (written.num_tokens < 9)


def test_settings_that_are_none_are_refused(trained: Path) -> None:
    for sampling in (Sampling(-1), Sampling(1, 0), Sampling(1, 2)):
        with pytest.raises(UserError, match="--top-p"):
            generate(trained, [""], sampling=sampling, max_tokens=1)


@pytest.mark.parametrize("pieces", [["By wind.\n\n### user: more"], ["By wind.", "\n", "\n##", "# user"]])
def test_an_answer_ends_where_the_next_message_begins(pieces: list[str]) -> None:
    assert "".join(_until("\n\n### ", iter(pieces))) == "By wind."
    assert "".join(_until("\n\n### ", iter(["a\n\n", "b #", "## \n"]))) == "a\n\nb ### \n"
    assert "".join(_until(None, iter(pieces))) == "".join(pieces)


@pytest.mark.slow
def test_the_command_writes_text_and_json(trained: Path) -> None:
    words = ("generate", trained, "The mill", "And", "--max-tokens", "5", "--temperature", "0")
    plain, as_json = gristmill(*words), gristmill(*words, "--json")
    assert plain.returncode == 0, plain.stderr
    values = json.loads(as_json.stdout)
    assert [value["prompt"] for value in values] == ["The mill", "And"]
    assert plain.stdout.startswith("The mill")
    assert all(value["text"] in plain.stdout for value in values if "\n" not in value["text"])
    refused = gristmill("generate", trained.parent / "none", "The")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
