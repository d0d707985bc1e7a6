"""Signatures of an index as objects of datasketch, for who works with that library further on.

datasketch mixes a hash h by MurmurHash3's fmix32 and then takes the least of a·fmix32(h) + b (scheme "affine32"); ours
is the least of a·x + b. With our permutations, and h the value of which fmix32 is x, both are the same signature.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dedup.documents import format_ids, load_npy, npy_path
from dedup.index import earlier_files, read_parts
from dedup.lsh.signatures import permutations
from dedup.lsh.signing import SIGNED
from shards.errors import UserError

if TYPE_CHECKING:
    from datasketch import MinHash


def minhashes(folder: Path) -> "Iterator[tuple[str, MinHash]]":
    """(id, datasketch.MinHash) of every document of an index with verify = "signature", where signatures stand whole.

    They compare with each other, in `MinHashLSH` too, and grow: `update(x)` with x the u32 hash of a shingle, by
    `dedup.lsh.shingles`, gives the signature that we would. With datasketch's own permutations they do not compare.
    UserError where only band keys are stored.
    """
    if find_spec("datasketch") is None:
        raise UserError("signatures become objects of datasketch, which is not installed: pip install datasketch")
    from datasketch import MinHash

    shape = next(iter(read_parts(folder).values())).settings.get("minhash", {})
    if shape.get("verify") != "signature":
        raise UserError(f"{folder}: holds no whole signatures; only those of a stage minhash with verify = 'signature'")
    num_hashes = shape["bands"] * shape["rows"]
    places = permutations(num_hashes, shape["seed"])
    for stem in earlier_files(folder, "minhash", shape).stems:
        documents, sets = load_npy(npy_path(stem, "documents"), SIGNED), load_npy(npy_path(stem, "sets"))
        for id_, start in zip(format_ids(documents["id"]).to_pylist(), documents["set_start"].tolist(), strict=True):
            yield (
                id_,
                MinHash(
                    num_perm=num_hashes,
                    seed=shape["seed"],
                    hashfunc=_unmixed,
                    hashvalues=sets[start : start + num_hashes],
                    permutations=places,
                    scheme="affine32",
                ),
            )


_UNMIX_1, _UNMIX_2 = pow(0x85EBCA6B, -1, 1 << 32), pow(0xC2B2AE35, -1, 1 << 32)


def _unmixed(x: int) -> int:
    """The u32 of which MurmurHash3's fmix32 is `x`: datasketch mixes what it is given, and ours is mixed already."""
    x ^= x >> 16
    x = x * _UNMIX_2 & 0xFFFFFFFF
    x ^= x >> 13 ^ x >> 26
    x = x * _UNMIX_1 & 0xFFFFFFFF
    return x ^ x >> 16
