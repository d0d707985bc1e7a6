import pytest

from shards.reader import Damage, only_error, row_id


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
