from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st
from stage_cases import texts
from word_oracle import any_text

from tests.cleaners.test_pii import ALL, pieces


def replaced_one_search_after_another(text: str) -> str:
    """Every pattern over the whole text, each after the replacements of those before it."""
    for search in ALL._searches():
        replacements = cycle(search.replacements)
        text = search.pattern.sub(
            lambda match, search=search, replacements=replacements: (
                next(replacements).encode() if search.is_valid(match[0].decode()) else match[0]
            ),
            text.encode(),
        ).decode()
    return text


@given(st.lists(st.one_of(pieces, any_text), max_size=8).map("，".join))
def test_patterns_match_in_the_candidates_what_they_match_in_the_whole_text(text: str) -> None:
    row = ALL.build()(texts("padding", None, text)).to_pylist()[2]
    assert row["text"] == replaced_one_search_after_another(text)
