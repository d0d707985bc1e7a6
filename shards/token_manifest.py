"""Proofs of token shards: what each was made from, and the rows, bytes and sha256 of its files.

TOKENS/<source>/manifests/<shard>.json       written when both files of a shard are whole: the unit of resume
                manifest.json                written last: all shards of the last call
"""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from shards import mirror
from shards.atomic import write_json
from shards.config import Config
from shards.cores import usable_cores
from shards.errors import RunError, UserError
from shards.formats import TOKENS_FORMAT, format_of
from shards.limits import check_limits
from shards.manifest import file_sha256

MANIFEST, MANIFESTS, TOKENIZER = "manifest.json", "manifests", "tokenizer.json"  # names in a token folder
REMEDY = "run the same `gristmill tokenize` again, which makes what is damaged anew"

_Manifest = TypeVar("_Manifest", bound=Config)


class TokenFile(Config):
    """The contents of one Arrow file of a token shard."""

    num_rows: int
    num_tokens: int
    num_masked_tokens: int
    num_epoch_tokens: int  # each document's as often as its weight says
    num_text_bytes: int  # UTF-8 bytes, without those of masked tokens
    num_file_bytes: int
    sha256: str
    blocks_xxh3: str  # of each block (`shards.block_hashes`), checked when it is first read
    figures_xxh3: str  # of all columns that a plan reads (`shards.token_figures`)


class ShardManifest(Config):
    """The proof that a text shard is tokenized, and from what."""

    version: int = TOKENS_FORMAT
    input_sha256: str
    held_out_fraction: float
    weight_column: str | None  # of the text shard; None: every weight is 1
    bucket_column: str | None = None  # of the text shard; None: every bucket is ""
    files: dict[str, TokenFile]  # by split


class TokenManifest(Config):
    """All token shards of one source."""

    version: int = TOKENS_FORMAT
    tokenizer_sha256: str
    vocab_size: int
    shards: dict[str, ShardManifest]  # by file-name stem, in order

    def digest(self, split: str) -> str:
        """A sha256 that changes when a document of the split or the tokenizer does, and with nothing else."""
        files = [shard.files[split].sha256 for shard in self.shards.values()]
        return hashlib.sha256("\n".join([self.tokenizer_sha256, *files]).encode()).hexdigest()


@cache
def token_folder(path: str) -> Path:
    """The token folder of a path, or the mirror of a URL, the same in all calls. UserError as of `mirror.local`."""
    return mirror.local(path)


def write_token_manifest(folder: Path, vocab_size: int, stems: Iterable[str]) -> TokenManifest:
    """Write `manifest.json` over these finished shards of the folder; other shards there are not part of it."""
    manifest = TokenManifest(
        tokenizer_sha256=hashlib.sha256(mirror.read_bytes(folder / TOKENIZER)).hexdigest(),
        vocab_size=vocab_size,
        shards={stem: read_shard_manifest(folder / MANIFESTS / f"{stem}.json") for stem in sorted(stems)},
    )
    write_json(folder / MANIFEST, manifest.model_dump())
    return manifest


def read_token_manifest(folder: Path) -> TokenManifest:
    """The manifest of a finished token folder.

    UserError for a folder that is not finished, that is no token folder or that a newer gristmill made; RunError for a
    damaged manifest and an older format.
    """
    path = folder / MANIFEST
    if mirror.exists(path):
        return _read(path, TokenManifest)
    if mirror.exists(folder / TOKENIZER):
        raise UserError(f"{folder}: not finished; run the same `gristmill tokenize` again")
    sources = sorted(inner.parent.name for inner in mirror.glob(folder, f"*/{TOKENIZER}"))
    if sources:
        raise UserError(f"{folder}: holds several sources; name one of {', '.join(str(folder / s) for s in sources)}")
    raise UserError(f"{folder}: no token folder; make one with `gristmill tokenize SHARDS --tokenizer T --out TOKENS`")


def read_shard_manifest(path: Path) -> ShardManifest:
    """RunError where the manifest is damaged or of an older format, UserError where a newer gristmill made it."""
    return _read(path, ShardManifest)


def is_whole(folder: Path, stem: str, manifest: ShardManifest) -> bool:
    """Whether the shard's files hold exactly the bytes that its manifest records."""
    return not any(_damage(folder / split / f"{stem}.arrow", file) for split, file in manifest.files.items())


def verify_tokens(folder: Path) -> None:
    """Read every file of a finished token folder, about 1 GB/s a core; RunError where a sha256 differs."""
    files = [
        (folder / split / f"{stem}.arrow", file)
        for stem, shard in read_token_manifest(folder).shards.items()
        for split, file in shard.files.items()
    ]
    with ThreadPoolExecutor(usable_cores()) as threads:
        damages = [damage for damage in threads.map(lambda pair: _damage(*pair), files) if damage]
    if damages:
        others = len(damages) - 1
        more = f" and {others} more file{' is' if others == 1 else 's are'} damaged" if others else ""
        raise RunError(f"{damages[0]}{more}; {REMEDY}")


def size_damage(path: Path, file: TokenFile) -> str:
    """The difference between the file's size and its manifest's; empty where there is none."""
    num_bytes = path.stat().st_size if mirror.exists(path) else 0
    if num_bytes == file.num_file_bytes:
        return ""
    return f"{path}: expected {file.num_file_bytes:,} bytes as {MANIFEST} says, found {num_bytes:,}"


def _damage(path: Path, file: TokenFile) -> str:
    """The damage of a token file; empty where there is none."""
    if damage := size_damage(path, file):
        return damage
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        check_limits(path, error)
        return f"{path}: cannot be read: {error.strerror}"
    return "" if sha256 == file.sha256 else f"{path}: its sha256 is not the one in {MANIFEST}"


def _read(path: Path, kind: type[_Manifest]) -> _Manifest:
    values = _table(path)
    number = format_of(values, "version", path, TOKENS_FORMAT, REMEDY)
    if number < TOKENS_FORMAT:
        raise RunError(
            f"{path}: was made by an older gristmill (format {number}, this one reads {TOKENS_FORMAT}); run the same "
            "`gristmill tokenize` again, which makes the tokens anew from their text shards"
        )
    try:
        return kind.parse(values, str(path))
    except UserError as error:
        raise _damaged(path, error) from None


def _table(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(mirror.read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        check_limits(path, error)
        raise _damaged(path, error) from None
    if not isinstance(values, dict):
        raise _damaged(path, "no table")
    return values


def _damaged(path: Path, cause: object) -> RunError:
    return RunError(f"{path}: not a whole manifest ({cause}); {REMEDY}")
