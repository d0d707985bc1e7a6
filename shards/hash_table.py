"""Open addressing in kernels: the size of a table and the probe for a key.

    key ──any hash, its low bits──▶ slot ──taken by another key?──▶ slot + 1 ──▶ … ──▶ the key's slot, or a free one

A table has a power of two of slots and is at most half full, so a probe takes two steps on average and ends. Two
layouts: u64 keys in the table itself (`slot_of`, 0 marks a free slot), and numbers of keys that are in another array
(`slot_of_number`, a negative number marks a free slot). If equality takes more than that, the caller writes the loop
with `next_slot`.
"""

import numpy as np

from shards.compiled import kernel


@kernel(inline="always")
def table_size(num_keys):
    """The smallest power of two, 2 at least, of which `num_keys` fill no more than half."""
    size = 2
    while size < 2 * num_keys:
        size *= 2
    return size


@kernel(inline="always")
def first_slot(table, hash_):
    """Where the probe for a u64 `hash_` begins: its low bits. Slots are u64, so that no index is checked for a sign."""
    return hash_ & np.uint64(len(table) - 1)


@kernel(inline="always")
def next_slot(table, slot):
    """The slot after `slot`, of the first one after the last."""
    return (slot + np.uint64(1)) & np.uint64(len(table) - 1)


@kernel(inline="always")
def slot_of(table, key, slot):
    """The slot of u64[slots] `table` that holds `key`, which is not 0, or the free one where it belongs.

    `slot` is where the probe begins.
    """
    while table[slot] != 0 and table[slot] != key:
        slot = next_slot(table, slot)
    return slot


@kernel(inline="always")
def slot_of_number(table, keys, key, slot):
    """The slot whose number k has keys[k] == `key`, or the free one where it belongs; the probe begins at `slot`."""
    while table[slot] >= 0 and keys[table[slot]] != key:
        slot = next_slot(table, slot)
    return slot
