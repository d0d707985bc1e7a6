"""A probe ends at the slot of an equal key or at a free one, wherever it begins."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shards.compiled import kernel
from shards.hash_table import first_slot, next_slot, slot_of, slot_of_number, table_size


@kernel
def distinct(keys, hashes):
    """(u64 table of the keys, i64[keys] index of the first equal key by numbers)."""
    table = np.zeros(table_size(len(keys)), np.uint64)
    numbers = np.full(table_size(len(keys)), -1, np.int32)
    firsts = np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        table[slot_of(table, keys[i], first_slot(table, hashes[i]))] = keys[i]
        slot = slot_of_number(numbers, keys, keys[i], first_slot(numbers, hashes[i]))
        if numbers[slot] < 0:
            numbers[slot] = i
        firsts[i] = numbers[slot]
    return table, firsts


@kernel
def sizes_and_steps(counts, table):
    sizes = np.array([table_size(count) for count in counts])
    slot = first_slot(table, np.uint64(len(table) + 1))
    steps = np.empty(len(table), np.int64)
    for k in range(len(table)):
        steps[k] = slot
        slot = next_slot(table, slot)
    return sizes, steps


@given(st.lists(st.integers(1, 40), max_size=60), st.sampled_from([0, 1, 7, (1 << 64) - 1]))
def test_equal_keys_share_a_slot_and_others_do_not_though_all_hashes_are_alike(keys: list[int], hash_: int) -> None:
    for hashes in (np.full(len(keys), hash_, np.uint64), np.array(keys, np.uint64)):
        table, firsts = distinct(np.array(keys, np.uint64), hashes)
        assert sorted(table[table > 0].tolist()) == sorted(set(keys))
        assert firsts.tolist() == [keys.index(key) for key in keys]


def test_a_table_is_a_power_of_two_at_most_half_full_and_probed_in_a_circle() -> None:
    sizes, steps = sizes_and_steps(np.array([0, 1, 2, 3, 4, 5, 512, 513]), np.zeros(8, np.uint64))
    assert sizes.tolist() == [2, 2, 4, 8, 8, 16, 1024, 2048]
    assert steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 0]
