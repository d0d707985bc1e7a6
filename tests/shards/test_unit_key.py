import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.unit_key import UnitKey

keys = st.builds(UnitKey, st.text("abz-019", min_size=1, max_size=8), st.integers(0, 10**6), st.integers(0, 2000))


@given(keys)
def test_a_key_comes_back_from_its_text_also_where_the_source_has_dashes_and_digits(key: UnitKey) -> None:
    assert UnitKey.parse(str(key)) == key


@given(st.lists(keys))
def test_keys_are_ordered_by_source_file_and_part_also_beyond_their_padding(several: list[UnitKey]) -> None:
    assert sorted(several) == sorted(several, key=lambda key: (key.source, key.file, key.part))
    assert UnitKey("web", 2, 999) < UnitKey("web", 2, 1000) < UnitKey("web", 100_000, 0)


def test_the_text_is_the_stem_of_the_units_files() -> None:
    assert str(UnitKey("web", 3, 0)) == "web-00003-000"
    assert UnitKey("web", 3, 0).chain == UnitKey("web", 3, 12).chain == ("web", 3)


@pytest.mark.parametrize("text", ["", "web", "web-00003", "web-x-000", "web-00003-"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        UnitKey.parse(text)
