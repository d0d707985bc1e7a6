"""`--part I/N`: the parts one after the other are the inputs, and none has much more to read than another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.run.part import WHOLE, Part
from shards.errors import UserError
from shards.storage import InputFile


def files(*sizes: int) -> list[InputFile]:
    return [InputFile(f"/in/{i}", str(i), size) for i, size in enumerate(sizes)]


def names(part: Part, *sizes: int) -> list[str]:
    return [file.name for file in part.of_each({"web": files(*sizes)})["web"]]


@given(st.lists(st.lists(st.integers(0, 1 << 40), max_size=9), min_size=1, max_size=3), st.integers(1, 12))
def test_the_parts_one_after_the_other_are_the_inputs_of_each_source(sizes: list[list[int]], total: int) -> None:
    inputs = {f"s{i}": files(*of_source) for i, of_source in enumerate(sizes)}
    joined: dict[str, list[InputFile]] = {source: [] for source in inputs}
    for number in range(1, total + 1):
        try:
            part = Part(number, total).of_each(inputs)
        except UserError:
            continue  # no file falls into it
        assert part.keys() == inputs.keys()
        for source, of_part in part.items():
            joined[source] += of_part
    assert joined == inputs


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=40), st.integers(1, 12))
def test_a_part_has_at_most_the_largest_file_more_than_its_share(sizes: list[int], total: int) -> None:
    for number in range(1, total + 1):
        try:
            part = Part(number, total).of_each({"web": files(*sizes)})["web"]
        except UserError:
            continue
        weights = [size + 1 for size in sizes]
        assert sum(file.num_bytes + 1 for file in part) <= sum(weights) / total + max(weights)


def test_files_without_bytes_are_shared_out_by_their_number() -> None:
    assert [names(Part(i, 2), 0, 0, 0, 0) for i in (1, 2)] == [["0", "1"], ["2", "3"]]


def test_a_large_file_has_a_part_of_its_own() -> None:
    assert [names(Part(i, 3), 1, 1, 100, 1, 1) for i in (1, 2, 3)] == [["0", "1"], ["2"], ["3", "4"]]


def test_the_whole_is_the_only_part_of_one() -> None:
    assert Part.parse("1/1") == WHOLE
    assert names(WHOLE, 3, 0, 5) == ["0", "1", "2"]


def test_a_part_without_files_is_refused_with_its_remedy() -> None:
    with pytest.raises(UserError, match=r"--part 1/2: no input falls into this part, .* 1 file; leave it out"):
        names(Part(1, 2), 0, *())


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b", "1 / 2", "1/2\n", "٣/٤"])
def test_a_text_that_names_no_part_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected I/N with I from 1 to N"):
        Part.parse(text)
