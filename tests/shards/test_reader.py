import pytest

from shards.reader import EXAMPLES, Damage, add_damage, only_error, own_row_id, row_id


def test_a_row_id_is_of_the_records_own_id_or_of_url_date_and_body() -> None:
    assert row_id("name", "u", "d", b"body") == row_id("name", "", "", b"other")
    without = row_id("", "u", "d", b"body")
    assert len(without) == 32
    assert without not in (row_id("", "u", "d", b"other"), row_id("", "v", "d", b"body"), row_id("", "u", "e", b"body"))
    assert row_id("", "u", "d", memoryview(b"body")) == without


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, " (and 2 more)")])
def test_the_error_for_an_unreadable_input_names_its_first_damage(count: int, more: str) -> None:
    damage = [Damage("a.jsonl", offset, "not JSON") for offset in (7, 8, 9)[:count]]
    assert str(only_error(damage)) == f"a.jsonl: offset 7: not JSON{more}; no document could be read"


def test_a_row_of_a_file_is_known_by_its_id_and_its_text() -> None:
    ids = {own_row_id(name, text) for name in ("1", "2") for text in ("a", "b")}
    assert len(ids) == 4
    assert all(len(made) == 32 for made in ids)


def test_damage_of_one_kind_is_listed_a_few_times_and_counted() -> None:
    damage: list[Damage] = []
    for offset in range(10):
        add_damage(damage, Damage("a", offset, f"a record cut short: {offset} of 20 bytes"))
        add_damage(damage, Damage("a", offset, f"no key 'text'; there are k{offset}"))
    for cause in ("a record cut short", "no key 'text'"):
        same = [place for place in damage if place.kind == cause]
        assert [place.offset for place in same] == [0, 1, 2]
        assert [place.places for place in same] == [1] * (EXAMPLES - 1) + [10 - EXAMPLES + 1]
    assert "a record cut short: 0 of 20 bytes (and 19 more);" in str(only_error(damage))


def test_counts_of_damage_add_up_when_units_are_joined() -> None:
    joined: list[Damage] = []
    for places in (1, 1, 8, 1, 1, 3):
        add_damage(joined, Damage("a", 0, "not JSON", places))
    assert [place.places for place in joined] == [1, 1, 13]
