from pathlib import Path

import numpy as np
import pytest

from pretrain.order.plan_file import read_arrays, write_arrays
from shards.errors import RunError

ARRAYS = {
    "z": np.arange(5),
    "a": np.arange(1000, dtype=np.uint32),
    "none": np.zeros(0, np.int64),
    "last": np.array([1], np.uint32),
}


def test_arrays_come_back_aligned_and_in_any_number(tmp_path: Path) -> None:
    for count in range(len(ARRAYS) + 1):
        arrays = dict(list(ARRAYS.items())[:count])
        write_arrays(tmp_path / "plan", {"key": "ключ"}, arrays)
        info, found = read_arrays(tmp_path / "plan")
        assert info == {"key": "ключ"}
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            assert (found[name] == array).all()
            assert found[name].ctypes.data % 64 == 0 or not len(array)


def test_a_change_in_memory_stays_there(tmp_path: Path) -> None:
    write_arrays(tmp_path / "plan", {}, ARRAYS)
    _, found = read_arrays(tmp_path / "plan")
    found["a"][0] = 7
    assert read_arrays(tmp_path / "plan")[1]["a"][0] == 0


def test_every_flipped_byte_and_every_cut_is_found(tmp_path: Path) -> None:
    path = tmp_path / "plan"
    write_arrays(path, {"key": "k"}, {"a": np.arange(20)})
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(RunError, match="plan: is not as it was written"):
            read_arrays(path)
    for length in (0, 5, 40, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(RunError, match=r"plan: (is not as it was written|cannot be read)"):
            read_arrays(path)
    with pytest.raises(RunError, match="nowhere: cannot be read"):
        read_arrays(tmp_path / "nowhere")
