"""Compares our rules with datatrove's filters, document by document: `make bench-conformance`.

`main` judges the pages of the crawl in three ways, prints a row for every rule and language, and writes the rows to
`benchmarks/results/conformance.json`:

    peer    datatrove as it ships: its own words (spaCy, jieba) and sentences, the thresholds of FineWeb and FineWeb2
    ours    the recipe of the language without `compat`
    compat  our stages with `compat` and the thresholds of the peer; only sentences and a few words differ

tests/conformance puts our words and sentences into datatrove's filters, and then nothing differs.
"""

import gzip
import json
import random
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tomli_w

from benchmarks.rows import ROOT, real_crawl, require_peers
from cleaners.assets import languages
from cleaners.c4 import C4Config
from cleaners.datatrove.c4 import line_sentences
from cleaners.datatrove.words import tokens_of
from cleaners.fineweb import FineWebConfig
from cleaners.gopher_quality import GopherQualityConfig
from cleaners.gopher_repetition import GopherRepetitionConfig
from cleaners.thresholds import BY_LANGUAGE
from pipelines.core import failing
from pipelines.recipe import load_recipe
from shards.sink import read_table
from shards.stage import StageConfig
from shards.unicode import classes, lowercase, text_buffers
from shards.words import Words, words_of

KINDS = {
    "gopher_repetition": GopherRepetitionConfig,
    "gopher_quality": GopherQualityConfig,
    "fineweb": FineWebConfig,
    "c4": C4Config,
}
# By language of lid.176: datatrove's name, the recipe with the thresholds, the largest number of documents. For "zh"
# and "zho" datatrove does not use its words for Mandarin, but those between white space.
LANGUAGES = {
    "en": ("eng_Latn", "fineweb", 600),
    "de": ("deu_Latn", "fineweb", 300),
    "ru": ("rus_Cyrl", "fineweb2-ru", 200),
    "zh": ("cmn_Hani", "fineweb2-zh", 200),
}
# Published settings (FineWeb2) that the recipe of a language leaves out or sets for our words, and German stop words.
PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "de": {"gopher_quality": {"stop_words": ("der", "die", "und", "in", "den", "von", "zu", "das", "mit", "sich")}},
    "zh": {"gopher_quality": {"min_words": 50}, "fineweb": {"max_newlines_per_word": 0.178}},
}
C4_SETTINGS = {"min_words_per_line": 3, "min_sentences": 5, "line_ends": ".?!\"'"}  # datatrove's


@dataclass(frozen=True)
class Document:
    language: str
    text: str


@dataclass(frozen=True)
class Case:
    """A rule of datatrove with a threshold, applied to one document."""

    document: int  # its index
    rule: str
    threshold: float | None


def documents(data: Path) -> list[Document]:
    """The main content of the crawl's pages by resiliparse, and Russian and Chinese plain texts."""
    by_language: dict[str, list[str]] = defaultdict(list)
    for language, text in _extracted(data):
        by_language[language].append(text)
    for file in sorted((data / "text" / "ru").glob("*.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as book:
            by_language["ru"] += _chapters(book.read())[:15]
    with gzip.open(data / "text" / "zh" / "chinesewebtext-sample.jsonl.gz", "rt", encoding="utf-8") as lines:
        by_language["zh"] += [json.loads(line)["raw_content"] for line in lines]
    chosen = []
    for language, (_, _, most) in LANGUAGES.items():
        texts = [text for text in by_language[language] if text.strip()]
        random.Random(0).shuffle(texts)
        chosen += [Document(language, text) for text in texts[:most]]
    return chosen


def _extracted(data: Path) -> Iterator[tuple[str, str]]:
    recipe = {
        "source": {"web": {"kind": "warc", "paths": [str(data / "crawl")]}},
        "stage": [
            {"kind": "page"},
            {"kind": "extract", "engine": "resiliparse"},
            {"kind": "language", "languages": list(LANGUAGES), "min_score": 0.5},
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "texts.toml")
        path.write_text(tomli_w.dumps(recipe))
        gristmill = Path(sys.executable).with_name("gristmill")
        subprocess.run([gristmill, "run", path, "--out", f"{folder}/run"], check=True, stdout=subprocess.DEVNULL)
        for shard in sorted(Path(folder).glob("run/shards/*/*.arrow")):
            table = read_table(shard)
            yield from zip(table["language"].to_pylist(), table["text"].to_pylist(), strict=True)


def _chapters(book: str, chars: int = 3000) -> list[str]:
    parts, part = [], ""
    for line in book.splitlines(keepends=True):
        part += line
        if len(part) > chars:
            parts.append(part)
            part = ""
    return parts


def stages(language: str, *, compat: bool) -> list[StageConfig]:
    """The stages of the language's recipe, and `c4`.

    With `compat` they have datatrove's formulas and words and the published thresholds. Without it they have our own
    formulas and words, and only later copies count.
    """
    settings = {kind: stage.model_dump() for kind, stage in load_recipe(LANGUAGES[language][1]).stages if kind in KINDS}
    settings["c4"] = {"name": "c4", **C4_SETTINGS, "line_ends": None if language == "zh" else C4_SETTINGS["line_ends"]}
    settings["gopher_repetition"]["count_first_copies"] = False
    for kind, published in PUBLISHED.get(language, {}).items():
        settings[kind] |= published if compat or language == "de" else {}
    return [KINDS[kind](**settings[kind] | {"compat": "datatrove" if compat else None}) for kind in KINDS]


def measure(texts: Sequence[str], configs: Sequence[StageConfig]) -> dict[str, pa.Array]:
    """All metrics of the stages, each measured on the original texts, and `c4.text`, the text that `c4` leaves."""
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    columns = {}
    for config in configs:
        measured = config.build()(batch)
        columns |= {name: measured[name] for name in config.columns().names if name != "text"}
        if config.edits:
            columns[f"{config.name}.text"] = measured["text"]
    return columns


def peers_verdicts(
    pages: Sequence[Document], cases: Sequence[Case], *, our_words: bool
) -> tuple[list[bool | None], list[dict[str, str]]]:
    """(whether datatrove drops, by case; its edited texts, by document), from `benchmarks/peers/filters.py`."""
    cases_of: dict[int, list[Case]] = defaultdict(list)
    for case in cases:
        cases_of[case.document].append(case)
    lines = []
    for number, document in enumerate(pages):
        quality, fineweb, c4 = (stages(document.language, compat=True)[i] for i in (1, 2, 3))
        by_language = quality.stop_words == BY_LANGUAGE  # which is Gopher's English words with `compat`
        line = {
            "text": document.text,
            "language": LANGUAGES[document.language][0],
            "words": word_spans(document.text) if our_words else None,
            "sentences": _sentences(document.text) if our_words else None,
            "settings": {
                "stop_words": list(languages.language(None).stop_words if by_language else quality.stop_words),
                "line_ends": fineweb.line_ends,
                "short_line_chars": fineweb.short_line_chars,
                "c4_terminal_punctuation": c4.line_ends is not None,
                "c4_min_words_per_line": c4.min_words_per_line,
            },
            "cases": [[case.rule, case.threshold] for case in cases_of[number]],
        }
        lines.append(line)
    answers = peers_answers(lines)
    verdicts = {
        case: drops
        for number, answer in enumerate(answers)
        for case, drops in zip(cases_of[number], answer.pop("drops"), strict=True)
    }
    return [verdicts[case] for case in cases], answers


def peers_answers(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of `benchmarks/peers/filters.py`, one a line."""
    script = ROOT / "benchmarks" / "peers" / "filters.py"
    requests = "\n".join(map(json.dumps, lines))
    done = subprocess.run([require_peers(), script], input=requests, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{script}: exit {done.returncode}\n{done.stderr[-2000:]}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def word_spans(text: str, split: Callable[[pa.Array], Words] = tokens_of) -> list[list[int]]:
    """[start, end) in characters of our words, by default those of `compat`."""
    array = pa.array([text], pa.large_string())
    words = split(array)
    data, _ = text_buffers(array)
    chars = np.concatenate([[0], np.cumsum((data & 0xC0) != 0x80)])
    return np.stack([chars[words.starts], chars[words.ends]], axis=1).tolist()


def _sentences(text: str) -> dict[str, int]:
    """Our number of sentences in each line that C4's filter may ask for."""
    citation = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
    lines = sorted({citation.sub("", line.strip()) for line in text.splitlines()})
    array = pa.array(lines, pa.large_string())
    return dict(zip(lines, line_sentences(*text_buffers(array), classes(), lowercase()).tolist(), strict=True))


def main() -> None:
    pages = documents(real_crawl())
    rows = []
    print(f"{'rule, language':62} pages     peer     ours   compat  equal  equal with compat")
    for language in LANGUAGES:
        some = [page for page in pages if page.language == language]
        texts = [document.text for document in some]
        rules = {rule.reason: rule for config in stages(language, compat=True) for rule in config.rules()}
        rules = {reason: rule for reason, rule in rules.items() if reason != "c4.bad_word"}
        recipe_rules = {rule.reason: rule for config in stages(language, compat=False) for rule in config.rules()}
        cases = [Case(n, reason, _threshold(rule)) for reason, rule in rules.items() for n in range(len(some))]
        theirs, answers = peers_verdicts(some, cases, our_words=False)
        rows.append(_compare_words(language, texts, [answer["words"] for answer in answers]))
        ours = measure(texts, stages(language, compat=False))
        same = measure(texts, stages(language, compat=True))
        for i, (reason, rule) in enumerate(rules.items()):
            drops = theirs[i * len(some) : (i + 1) * len(some)]
            judged = np.array([drop is not None for drop in drops])
            peer = np.array([bool(drop) for drop in drops])[judged]
            recipe = failing(ours[rule.metric], recipe_rules[reason])[judged]
            compat = failing(same[rule.metric], rule)[judged]
            row = {
                "what": f"{reason}, {language}",
                "documents": int(judged.sum()),
                "peer": round(peer.mean(), 5),
                "ours": round(recipe.mean(), 5),
                "ratio": round(recipe.mean() / peer.mean(), 3) if peer.any() else None,
                "compat": round(compat.mean(), 5),
                "equal": round((recipe == peer).mean(), 5),
                "equal_compat": round((compat == peer).mean(), 5),
                "unit": "share of documents",
            }
            rows.append(row)
            shares = " ".join(f"{row[key]:>8.2%}" for key in ("peer", "ours", "compat", "equal", "equal_compat"))
            print(f"{row['what']:62} {row['documents']:5} {shares}", flush=True)
    path = ROOT / "benchmarks" / "results" / "conformance.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")


def _compare_words(language: str, texts: Sequence[str], theirs: Sequence[list[str]]) -> dict[str, Any]:
    """The number of words per document, and the share of datatrove's that are ours, too, with equal start and end."""
    numbers, equal = np.zeros(3, np.int64), np.zeros(2, np.int64)
    for text, words in zip(texts, theirs, strict=True):
        spans, end = set(), 0
        for word in words:
            start = text.index(word, end)
            end = start + len(word)
            spans.add((start, end))
        ours = [{(start, end) for start, end in word_spans(text, split)} for split in (words_of, tokens_of)]
        numbers += (len(spans), *map(len, ours))
        equal += [len(spans & some) for some in ours]
    peer, recipe, compat = (numbers / len(texts)).round(2).tolist()
    shares = (equal / numbers[0]).round(5).tolist()
    row = {
        "what": f"words, {language}",
        "documents": len(texts),
        **{"peer": peer, "ours": recipe, "ratio": round(recipe / peer, 3), "compat": compat},
        **{"equal": shares[0], "equal_compat": shares[1], "unit": "words a document"},
    }
    print(f"{row['what']:62} {len(texts):5} {peer:8} {recipe:8} {compat:8} {shares[0]:8.2%} {shares[1]:8.2%}")
    return row


def _threshold(rule: Any) -> float:
    return float(rule.min_kept if rule.min_kept is not None else rule.max_kept)


if __name__ == "__main__":
    main()
