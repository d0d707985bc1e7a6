"""`gristmill classifier`: train a model filter, and score texts with it.

    positives ┐                                        ┌─ nine tenths ──fastText──▶ model.bin
    negatives ┴─▶ word_lines ──order of their hashes──▶┴─ a tenth ──▶ accuracy, AUC, precision of the best shares

Training uses one thread, a fixed seed and an order that follows from the texts. So the same texts give the same bytes,
however they are spread over files. The settings are those of DCLM's `baselines/train_fasttext_classifier.py` with the
word bigrams of its paper (arXiv 2406.11794, section 4.4). There are twice as many buckets as different bigrams, up to
fastText's own 2,000,000: a model has 400 bytes for each, so 800 MB at most.

During training, `<model>.examples.part` lies beside the model. A kill leaves it there, and the next training of this
model replaces it.
"""

import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import tomli_w
import xxhash

from cleaners.assets.fasttext_file import missing_bytes
from cleaners.classifier import NEGATIVE, POSITIVE, load_classifier, scores, word_lines
from cleaners.language_model import LABEL
from pipelines.numbers import counted, percent_of
from pipelines.tuning.inputs import check_output, read_texts
from shards.atomic import atomic_file, disk_error, write_bytes
from shards.errors import RunError, UserError
from shards.sink import ArrowSink

_SETTINGS = {"lr": 0.1, "dim": 100, "ws": 5, "epoch": 5, "minCount": 1, "wordNgrams": 2}
_MAX_BUCKETS = (1 << 31) - 1  # an int32 in fastText
_USUAL_BUCKETS = 2_000_000  # fastText's default
_MIN_EXAMPLES = 100  # of a class
_HELD_OUT = 10  # one of so many examples of a class is held out
_LINE = np.dtype([("hash", "S16"), ("positive", "?"), ("offset", "<i8"), ("num_bytes", "<i8")])
_SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)  # of the held-out texts, for which precision is reported
_QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Trained:
    """A model's examples and its quality on the tenth of them that were held out."""

    num_positive: int  # distinct texts, including those held out
    num_negative: int
    num_held_out: int
    accuracy: float  # at a score of .5
    auc: float  # the chance that a positive has a better score than a negative
    precision: dict[float, float]  # by share: the fraction of positives among the best of the held-out texts

    @property
    def auc_error(self) -> float:
        """The standard deviation of the AUC of a model that guesses (Mann and Whitney 1947)."""
        positive, negative = (math.ceil(number / _HELD_OUT) for number in (self.num_positive, self.num_negative))
        return math.sqrt((positive + negative + 1) / (12 * positive * negative))


@dataclass(frozen=True)
class Scored:
    """Scores of texts, and the threshold that keeps the wanted share of them."""

    num_texts: int
    num_blank: int  # texts without words, which get no score
    quantiles: dict[float, float]
    min_score: float
    num_kept: int  # with this score or a better one


def train_classifier(
    positives: Sequence[str], negatives: Sequence[str], to: Path, *, buckets: int | None = None
) -> Trained:
    """Write the model to `to`. `buckets` is the number of different bigrams that it can tell apart; None: by the texts.

    UserError where the buckets do not fit into memory, and RunError where the disk is full.
    """
    import fasttext

    check_output(to)
    if buckets is not None:
        _check_memory(buckets)
    with _scratch(to) as (store, file):
        examples = _distinct(
            np.concatenate([_store(positives, store, positive=True), _store(negatives, store, positive=False)])
        )
        held_out = _held_out(examples)
        if buckets is None:
            buckets = num_buckets(line for _, line in _lines(store, examples[~held_out]))
            _check_memory(buckets)
        for example, line in _lines(store, examples[~held_out]):
            label = POSITIVE if example["positive"] else NEGATIVE
            file.write(f"{LABEL}{label} ".encode() + line + b"\n")
        file.flush()
        model = fasttext.train_supervised(file.name, **_SETTINGS, bucket=buckets, thread=1, seed=0, verbose=0)
        held_out_examples = examples[held_out]
        texts = pa.array([line.decode() for _, line in _lines(store, held_out_examples)], pa.large_string())
    values = scores(model, POSITIVE, texts).to_numpy(zero_copy_only=False).astype(np.float64)
    with atomic_file(to) as out:
        _save(model, out)
    is_positive = held_out_examples["positive"]
    ranked = is_positive[np.argsort(-values, kind="stable")]
    return Trained(
        num_positive=int(examples["positive"].sum()),
        num_negative=int((~examples["positive"]).sum()),
        num_held_out=len(held_out_examples),
        accuracy=float(((values >= 0.5) == is_positive).mean()),
        auc=auc(values[is_positive], values[~is_positive]),
        precision={share: float(ranked[: max(1, round(share * len(ranked)))].mean()) for share in _SHARES},
    )


def training_lines(model: Path, trained: Trained) -> Iterator[str]:
    """A model's examples and its quality on held-out texts."""
    yield f"wrote {model}: {trained.num_positive:,} positive and {trained.num_negative:,} negative texts"
    held_out = counted(trained.num_held_out, "held-out text")
    yield f"of {held_out}: accuracy {trained.accuracy:.4f}, AUC {trained.auc:.4f}"
    if trained.auc < 0.5 + 2 * trained.auc_error:
        yield (
            f"warning: AUC {trained.auc:.4f} of {held_out} may be chance (.5): the model does not tell the classes "
            "apart; give more texts, or classes that differ"
        )
    for share, precision in trained.precision.items():
        yield f"of the best {share:.0%}: {precision:.1%} are positive"


def apply_classifier(
    model: Path, paths: Sequence[str], *, label: str, top: float | None, min_score: float | None, to: Path | None
) -> Scored:
    """Score all texts. With `to`, write `scores.arrow` (id, score) and `stage.toml`, for a recipe, into that folder."""
    if (top is None) == (min_score is None):
        raise UserError("classifier apply: give either --top or --min-score")
    if top is not None and not 0 < top <= 1:
        raise UserError(f"--top {top:g}: expected a share above 0, up to 1")
    if min_score is not None and not 0 <= min_score <= 1:
        raise UserError(f"--min-score {min_score:g}: expected a score from 0 to 1")
    classifier = load_classifier(model, label, "--label")
    parts = []
    schema = pa.schema([("id", pa.string()), ("score", pa.float64())])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in read_texts(paths, "classifier apply"):
            scored = pa.RecordBatch.from_arrays([batch["id"], scores(classifier, label, batch["text"])], schema=schema)
            parts.append(scored["score"].to_numpy(zero_copy_only=False).astype(np.float64))
            yield scored

    if to is None:
        for _ in batches():
            pass
    else:
        with ArrowSink(to / "scores.arrow", schema) as sink:
            for batch in batches():
                sink.write(batch)
    values = np.concatenate([np.zeros(0), *parts])
    measured = np.sort(values[~np.isnan(values)])
    if not len(measured):
        raise UserError("classifier apply: no text with words in these files")
    if top is not None:
        min_score = float(measured[-max(1, int(top * len(measured) + 0.5))])
    assert min_score is not None
    if to is not None:
        stage = {"kind": "classifier", "model": str(model), "label": label, "min_score": min_score}
        write_bytes(to / "stage.toml", tomli_w.dumps({"stage": [stage]}).encode())
    return Scored(
        num_texts=len(values),
        num_blank=len(values) - len(measured),
        quantiles={q: float(measured[min(int(q * len(measured)), len(measured) - 1)]) for q in _QUANTILES},
        min_score=min_score,
        num_kept=len(measured) - int(np.searchsorted(measured, min_score, side="left")),
    )


def score_lines(scored: Scored) -> Iterator[str]:
    """Quantiles of the scores, and what the threshold keeps."""
    for quantile, score in scored.quantiles.items():
        yield f"p{100 * quantile:g}: {score:.6f}"
    num_scored = scored.num_texts - scored.num_blank
    share = percent_of(scored.num_kept, num_scored)
    yield f"min_score {scored.min_score:.9g} keeps {scored.num_kept:,} of {num_scored:,} ({share})"
    if scored.num_blank:
        yield f"texts without words, which get no score: {scored.num_blank:,}"


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The share of pairs in which the positive has the larger value; ties count half (Mann and Whitney 1947)."""
    ordered = np.sort(negative)
    below, up_to = (np.searchsorted(ordered, positive, side=side) for side in ("left", "right"))
    return float((below + up_to).sum() / (2 * len(positive) * len(negative)))


def num_buckets(lines: Iterable[bytes]) -> int:
    """Twice the number of different bigrams of these lines of words, so that four in five have a bucket to themselves.

    From 1 to fastText's default, which is not counted past.
    """
    bigrams: set[int] = set()
    for line in lines:
        words = line.split(b" ")
        bigrams.update(xxhash.xxh3_64_intdigest(b" ".join(pair)) for pair in pairwise(words))
        if 2 * len(bigrams) >= _USUAL_BUCKETS:
            return _USUAL_BUCKETS
    return max(1, 2 * len(bigrams))


def _check_memory(buckets: int) -> None:
    """Raise UserError for a number of buckets that fastText cannot have or this machine cannot hold.

    fastText ends with SIGFPE for 0 buckets, and the kernel kills it for too many.
    """
    if not 1 <= buckets <= _MAX_BUCKETS:
        raise UserError(f"--buckets {buckets}: expected a number from 1 to {_MAX_BUCKETS:,}; 2,000,000 are usual")
    needed, available = buckets * _SETTINGS["dim"] * 4, _available_bytes()
    if needed > available:
        raise UserError(
            f"--buckets {buckets}: {_SETTINGS['dim']} numbers of 4 bytes each make {needed / 1e9:,.1f} GB, and "
            f"{available / 1e9:,.1f} GB of memory are available; give at most {available // (needed // buckets)}"
        )


def _available_bytes() -> int:
    """Memory available without swapping, as Linux reports it; elsewhere all memory of the machine."""
    try:
        match = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return int(match[1]) << 10 if match else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _scratch(to: Path) -> Iterator[tuple[IO[bytes], Any]]:
    """Two scratch files: a nameless one for all texts, and `<to>.examples.part` for those that fastText reads."""
    examples = to.with_name(to.name + ".examples.part")
    try:
        with tempfile.TemporaryFile(dir=to.parent) as store, examples.open("wb") as file:
            try:
                yield store, file
            finally:
                examples.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(to, error) from error


def _save(model: Any, out: IO[bytes]) -> None:
    """Write the model to the file `out`. fastText does not report a full disk, so the length is checked."""
    model.save_model(out.name)
    if missing := missing_bytes(Path(out.name)):
        os.posix_fallocate(out.fileno(), out.seek(0, os.SEEK_END), missing)  # raises the error that fastText hides
        raise RunError(f"{out.name}: fastText left out {missing:,} bytes of the model; run the same command again")


def _store(paths: Sequence[str], store: IO[bytes], *, positive: bool) -> np.ndarray:
    """Append the lines of the texts to `store` and return their positions, _LINE[texts]. Skip texts without words."""
    option = "--positive" if positive else "--negative"
    entries = []
    for batch in read_texts(paths, option):
        for line in filter(None, word_lines(batch["text"])):
            data = line.encode()
            entries.append((xxhash.xxh3_128_digest(data), positive, store.tell(), len(data)))
            store.write(data)
    if len(entries) < _MIN_EXAMPLES:
        documents = counted(len(entries), "document")
        raise UserError(f"{option}: {documents} with words; at least {_MIN_EXAMPLES} are needed to learn")
    return np.array(entries, _LINE)


def _distinct(examples: np.ndarray) -> np.ndarray:
    """`examples` in the order of their hashes, each text once. UserError where a text is in both classes."""
    examples = examples[np.argsort(examples["hash"], kind="stable")]
    is_repeat = np.append(False, examples["hash"][1:] == examples["hash"][:-1])
    in_both = is_repeat[1:] & (examples["positive"][1:] != examples["positive"][:-1])
    if in_both.any():
        raise UserError(
            f"--positive and --negative: {counted(int(in_both.sum()), 'text')} in both; take each out of one, since a "
            "document cannot be an example of both classes"
        )
    examples = examples[~is_repeat]
    for positive, option in ((True, "--positive"), (False, "--negative")):
        if (number := int((examples["positive"] == positive).sum())) < _MIN_EXAMPLES:
            documents = counted(number, "different document")
            raise UserError(f"{option}: {documents}; at least {_MIN_EXAMPLES} are needed to learn")
    return examples


def _held_out(examples: np.ndarray) -> np.ndarray:
    """bool[examples]: every tenth of each class, in the order of hashes."""
    held_out = np.zeros(len(examples), np.bool_)
    for positive in (True, False):
        held_out[np.flatnonzero(examples["positive"] == positive)[::_HELD_OUT]] = True
    return held_out


def _lines(store: IO[bytes], examples: np.ndarray) -> Iterator[tuple[Any, bytes]]:
    for example in examples:
        store.seek(int(example["offset"]))
        yield example, store.read(int(example["num_bytes"]))
