"""Tasks and results as bytes that go from machine to machine.

Everything is pickled by its name, as for a pool of processes. Paths of mirrors are replaced by what another machine
makes paths of its own of.
"""

import io
import pickle
from pathlib import Path
from typing import Any

from shards import mirror


def packed(value: Any) -> bytes:
    out = io.BytesIO()
    _Packer(out, pickle.HIGHEST_PROTOCOL).dump(value)
    return out.getvalue()


def unpacked(data: bytes) -> Any:
    return pickle.loads(data)


class _Packer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Path) and (departed := mirror.departing(value)) is not None:
            return mirror.arrived, departed
        return NotImplemented
