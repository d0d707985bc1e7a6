from itertools import cycle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import texts
from word_oracle import any_text

from cleaners.personal_data.region import Region
from tests.cleaners.test_pii import ALL, pieces


def replaced_by_searches_of_the_whole_text(text: str) -> str:
    """Every search over the whole text, each without what those before it have found."""
    utf8 = text.encode()
    data, whole, found = np.frombuffer(utf8, np.uint8), (0, len(utf8)), []
    for search in ALL._searches():
        replacements = cycle(search.replacements)
        spans = sorted(search.spans(Region(data, whole, whole, [span for *span, _ in sorted(found)])))
        found += [(*span, next(replacements)) for span in spans]
    for start, end, replacement in sorted(found, reverse=True):
        utf8 = utf8[:start] + replacement.encode() + utf8[end:]
    return utf8.decode()


@given(st.lists(st.one_of(pieces, any_text), max_size=8).map("，".join))
def test_searches_find_in_the_candidates_what_they_find_in_the_whole_text(text: str) -> None:
    row = ALL.build()(texts("padding", None, text)).to_pylist()[2]
    assert row["text"] == replaced_by_searches_of_the_whole_text(text)
