"""`gristmill suspects`: documents whose loss by a trained model is anomalous, with what the ledger says of them.

loss near zero     the model knows the text: a missed duplicate, boilerplate, a template
loss very high     no model would: mojibake, gibberish, another language

OUT/suspects.jsonl    a line each, the farthest first: loss, z, URL, template, the rules that it came closest to, text
    ids.txt           for `gristmill remove RUN --id OUT/ids.txt`
    hosts.txt         hosts of which most documents are suspected: for `remove --domains`, or a recipe's `url` stage
    sample.jsonl      some of each kind, drawn at random, to be judged: write true or false at "is_bad"
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cleaners.assets.domain_lines import host_of, path_of
from pipelines.ledger.table import Ledger
from pipelines.lines import Line, Table
from pipelines.numbers import counted, number
from pipelines.worth.anomalies import HIGH, LIMIT, LOW, Group, grouped, precision_interval, robust_z
from pretrain.document_losses import document_nats
from pretrain.tokenizing.tokenizer import Tokenizer
from pretrain.trained_model import TrainedModel, load_trained
from shards.atomic import write_bytes
from shards.errors import UserError
from shards.stage import Rule, StageConfig
from shards.tokens import HELD_OUT, TRAIN, TokenDocuments

SUSPECTS, IDS, HOSTS, SAMPLE = "suspects.jsonl", "ids.txt", "hosts.txt", "sample.jsonl"
MIN_BYTES = 200  # of a document: the loss of a shorter one says little
_RULES_SHOWN, _TEXT_TOKENS, _SHOWN = 3, 80, 10
_SEED = 18


@dataclass(frozen=True)
class Measured:
    """Documents of a run with their losses, each an array over them."""

    ids: list[str]
    urls: list[str]
    rows: np.ndarray  # of the ledger
    bits_per_byte: np.ndarray
    num_bytes: np.ndarray
    texts: list[str]  # their beginnings


@dataclass(frozen=True)
class Suspects:
    """What was found, and written."""

    num_documents: int
    records: list[dict[str, Any]]
    hosts: list[Group]
    templates: list[Group]
    out: Path


def find_suspects(model: Path, run: Path, out: Path, *, max_tokens: int, sample: int) -> Suspects:
    """Measure the documents of RUN that a training has read, and write what is anomalous to `out`.

    UserError where the training has read no document of the run.
    """
    ledger = Ledger.open(run)
    measured = _measured(load_trained(model), ledger, max_tokens)
    rows = ledger.rows(measured.rows.tolist())
    z = robust_z(measured.bits_per_byte, [row.get("language") or "" for row in rows])
    far = np.flatnonzero(np.abs(z) >= LIMIT)
    far = far[np.argsort(-np.abs(z[far]), kind="stable")]
    records = [_record(measured, n, float(z[n]), rows[n], ledger) for n in far.tolist()]
    hosts = grouped([host_of(url) for url in measured.urls], z)
    templates = grouped([template_of(url) for url in measured.urls], z)
    whole = [host.name for host in hosts if host.num_suspects > host.num_documents / 2]
    _write_lines(out / SUSPECTS, records)
    write_bytes(out / IDS, "".join(f"{record['id']}\n" for record in records).encode())
    write_bytes(out / HOSTS, "".join(f"{name}\n" for name in whole).encode())
    _write_lines(out / SAMPLE, _drawn(records, sample))
    return Suspects(len(measured.ids), records, hosts, templates, out)


def template_of(url: str) -> str:
    """The address without what differs between pages of one kind: numbers, the last part of the path, the query."""
    parts = path_of(url).partition("?")[0].strip("/").split("/")
    folders = [re.sub(r"\d+", "#", part) for part in parts[:-1]]
    return "/".join([host_of(url), *folders, "*"])


def nearest_rules(row: dict[str, Any], rules: Sequence[Rule]) -> list[tuple[str, float, float]]:
    """(drop reason, value, threshold) of the rules that a document came closest to failing, the closest first."""
    found = []
    for rule in rules:
        value = row.get(rule.metric)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        low, high = rule.limits(row.get("language"))
        closeness = [(value / high, high)] if high else []
        closeness += [(low / value, low)] if low and value > 0 else []
        found += [(share, rule.reason, float(value), float(limit)) for share, limit in closeness]
    found.sort(key=lambda one: (-one[0], one[1]))
    return [(reason, value, limit) for _, reason, value, limit in found[:_RULES_SHOWN]]


def lines(suspects: Suspects) -> Iterator[Line]:
    """What was found, for the terminal."""
    low = sum(record["kind"] == LOW for record in suspects.records)
    high = len(suspects.records) - low
    yield (
        f"{counted(suspects.num_documents, 'document')} measured, {len(suspects.records):,} suspected: {low:,} of a "
        f"loss near zero, {high:,} of a very high one"
    )
    header = ("z", "bits per byte", "url", "closest rules")
    rows = tuple(
        (f"{r['z']:+.1f}", f"{r['bits_per_byte']:.3f}", r["url"], _rules_text(r["rules"]))
        for r in suspects.records[:_SHOWN]
    )
    yield Table(header, rows)
    for title, groups in (("hosts", suspects.hosts), ("templates", suspects.templates)):
        if groups:
            table = [(g.name, f"{g.num_documents:,}", f"{g.num_low:,}", f"{g.num_high:,}") for g in groups[:_SHOWN]]
            yield Table((title, "documents", LOW, HIGH), tuple(table), numbers=True)
    yield f"wrote {suspects.out}: {SUSPECTS}, {IDS}, {HOSTS}; judge {SAMPLE} and give it to --judged for the precision"


def judged_lines(file: Path) -> Iterator[Line]:
    """The precision of each kind by a judged sample, with intervals. UserError where no line is judged."""
    right: dict[str, list[bool]] = {}
    for number_of_line, line in enumerate(_read_lines(file), 1):
        try:
            record = json.loads(line)
            kind, is_bad = record["kind"], record["is_bad"]
        except (ValueError, LookupError, TypeError):
            raise UserError(f"{file}:{number_of_line}: no line of a sample that `gristmill suspects` wrote") from None
        if isinstance(is_bad, bool):
            right.setdefault(str(kind), []).append(is_bad)
    if not right:
        raise UserError(f'{file}: no line is judged; write true or false at "is_bad"')
    rows = []
    for kind, judged in sorted(right.items()):
        low, high = precision_interval(sum(judged), len(judged))
        rows.append((kind, f"{len(judged)}", f"{sum(judged) / len(judged):.2f}", f"{low:.2f} to {high:.2f}"))
    yield Table(("kind", "judged", "precision", "95% interval"), tuple(rows), numbers=True)


def _measured(trained: TrainedModel, ledger: Ledger, max_tokens: int) -> Measured:
    first_row = dict(zip((str(key) for key in ledger.keys), ledger.first_rows[:-1].tolist(), strict=True))
    tokenizer = Tokenizer(trained.tokenizer)
    parts: list[tuple[list[str], list[str], np.ndarray, np.ndarray, np.ndarray, list[str]]] = []
    left = max_tokens
    for source in trained.config.source.values():
        for split in (TRAIN, HELD_OUT):
            documents = TokenDocuments(source.folder, split)
            units = np.array([first_row.get(unit, -1) for unit in documents.column("unit").to_pylist()], np.int64)
            at = documents.column("ledger_row").to_numpy()
            of_run = (units >= 0) & (at >= 0) & (documents.num_bytes >= MIN_BYTES)
            of_run[of_run] &= (units + at)[of_run] < ledger.num_rows
            chosen = np.flatnonzero(of_run)
            ids = documents.column("id").to_pylist()
            known = ledger.column("id")
            chosen = np.array([n for n in chosen.tolist() if known[int(units[n] + at[n])].as_py() == ids[n]], np.int64)
            chosen = chosen[np.random.default_rng(_SEED).permutation(len(chosen))]
            chosen = chosen[np.cumsum(documents.num_tokens[chosen]) <= left]
            left -= int(documents.num_tokens[chosen].sum())
            nats, _ = document_nats(
                trained.spread,
                documents,
                chosen,
                row_length=trained.config.sequence_length,
                num_rows=trained.num_rows,
            )
            urls = documents.column("url").to_pylist()
            texts = [
                tokenizer.decode(documents.tokens(n, 1, _TEXT_TOKENS + 1).astype(np.uint32)) for n in chosen.tolist()
            ]
            num_bytes = documents.num_bytes[chosen]
            here = [ids[n] for n in chosen], [urls[n] for n in chosen], (units + at)[chosen]
            parts.append((*here, nats / np.log(2) / num_bytes, num_bytes, texts))
    measured = Measured(
        [i for part in parts for i in part[0]],
        [u for part in parts for u in part[1]],
        np.concatenate([part[2] for part in parts]),
        np.concatenate([part[3] for part in parts]),
        np.concatenate([part[4] for part in parts]),
        [text for part in parts for text in part[5]],
    )
    if not measured.ids:
        raise UserError(f"{trained.folder}: was not trained on documents of {ledger.run}; name the run of its tokens")
    return measured


def _record(measured: Measured, n: int, z: float, row: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    rules = [rule for stage in ledger.recipe.local_stages() if isinstance(stage, StageConfig) for rule in stage.rules()]
    return {
        "kind": LOW if z < 0 else HIGH,
        "z": round(z, 3),
        "bits_per_byte": round(float(measured.bits_per_byte[n]), 5),
        "num_bytes": int(measured.num_bytes[n]),
        "id": measured.ids[n],
        "url": measured.urls[n],
        "template": template_of(measured.urls[n]),
        "language": row.get("language"),
        "drop_reasons": row["drop_reasons"],
        "rules": [list(rule) for rule in nearest_rules(row, rules)],
        "text": measured.texts[n],
    }


def _drawn(records: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Up to `count` of each kind, at random and always the same, to be judged."""
    drawn = []
    for kind in (LOW, HIGH):
        own = [record for record in records if record["kind"] == kind]
        order = np.random.default_rng(_SEED).permutation(len(own))[:count]
        drawn += [{"is_bad": None} | own[n] for n in sorted(order.tolist())]
    return drawn


def _rules_text(rules: list[list[Any]]) -> str:
    return ", ".join(f"{reason} {number(value)} of {number(limit)}" for reason, value, limit in rules)


def _write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    write_bytes(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode())


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
