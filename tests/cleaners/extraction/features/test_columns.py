"""Names, meanings and columns of features agree."""

import pytest

from cleaners.extraction.features import columns, context
from cleaners.extraction.features.columns import FEATURES, NUM_CONTAINERS, OFFSETS, Column, meanings
from cleaners.extraction.features.context import CONTEXT

NEIGHBOURS = {columns.NEIGHBOURS_AT + k * columns.NEIGHBOUR_WIDTH: f"block{d:+}_" for k, d in enumerate(OFFSETS)}
CONTAINERS = {columns.CONTAINERS_AT + k * columns.CONTAINER_WIDTH: f"container{k + 1}_" for k in range(NUM_CONTAINERS)}
FIRST_OF_CONTEXT = {context.CONTAINERS_AT + k * context.CONTAINER_WIDTH: f"container{k + 1}_" for k in range(6)}


@pytest.mark.parametrize(
    ("group", "table", "prefixes"),
    [
        *((group, FEATURES, {0: ""}) for group in (columns.Own, columns.Element, columns.Around, columns.Position)),
        *((group, FEATURES, {0: ""}) for group in (columns.TemplateCount, columns.Window, columns.Score)),
        (columns.WholePage, FEATURES, {0: "page_"}),
        (columns.Container, FEATURES, CONTAINERS),
        (columns.Neighbour, FEATURES, NEIGHBOURS),
        (context.Container, CONTEXT, FIRST_OF_CONTEXT),
        (context.OfPage, CONTEXT, {0: ""}),
    ],
)
def test_a_member_is_the_column_of_its_name(
    group: type[Column], table: dict[str, str], prefixes: dict[int, str]
) -> None:
    for first, prefix in prefixes.items():
        assert [list(table)[first + column] for column in group] == list(meanings(group, prefix))


def test_columns_of_context_before_its_groups_have_their_names() -> None:
    names = list(CONTEXT)
    assert names[context.P] == "p"
    assert names[context.NEIGHBOURS_AT : context.WINDOWS_AT] == ["p-3", "p-2", "p-1", "p+1", "p+2", "p+3"]
    assert names[context.WINDOWS_AT : context.CONTAINERS_AT] == ["p_within_2", "p_within_5", "p_within_12"]
