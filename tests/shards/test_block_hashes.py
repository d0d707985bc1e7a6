import numpy as np
import pytest
import xxhash

from shards.block_hashes import BLOCK_BYTES, BlockHasher, damaged_block


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES + 7])
def test_each_block_has_its_checksum_however_the_file_is_written(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    expected = [xxhash.xxh3_64_hexdigest(data[i : i + BLOCK_BYTES]) for i in range(0, size, BLOCK_BYTES)]
    for step in (size // 3 + 1, BLOCK_BYTES, size + 1):
        hasher = BlockHasher()
        for i in range(0, size, step):
            hasher.update(memoryview(data[i : i + step]))
        assert hasher.hexdigests() == "".join(expected)


def test_a_flipped_bit_is_found_in_its_block_alone() -> None:
    data = np.zeros(2 * BLOCK_BYTES + 10, np.uint8)
    hasher = BlockHasher()
    hasher.update(memoryview(data.tobytes()))
    digests = hasher.hexdigests()
    assert [damaged_block(data, number, digests) for number in range(3)] == [None] * 3
    data[2 * BLOCK_BYTES + 9] ^= 1
    assert [damaged_block(data, number, digests) for number in range(2)] == [None] * 2
    assert damaged_block(data, 2, digests) == range(2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 10)
