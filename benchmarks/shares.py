"""Prints the share of the real crawl that each built-in recipe drops, by rule and language: `make bench-shares`.

The output is Markdown. A page counts for the first rule that drops it. Languages are those of lid.176; pages that are
dropped before have none. With --out, runs are kept there, and finished ones are not made again.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.clean import GRISTMILL
from benchmarks.rows import real_crawl, run_on
from pipelines.ledger.table import Ledger
from pipelines.recipe import builtin_names

LANGUAGES = ("en", "de", "zh", "ja", "ru")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("recipes", nargs="*", default=builtin_names())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.recipes or builtin_names():
            folder = (options.out or Path(temporary)) / name
            paths = f"source.paths={real_crawl() / 'crawl'}"
            run_on("0,1", [GRISTMILL, "run", name, "--set", paths, "--out", folder])
            print("\n".join(table(name, folder)), flush=True)


def table(name: str, run: Path) -> list[str]:
    ledger = Ledger.open(run)
    fates, reasons = ledger.fates()
    known = ledger.column("language").to_pylist()
    languages = [language if language in LANGUAGES or language is None else "others" for language in known]
    counts = Counter(zip((reasons[f] if f >= 0 else "kept" for f in fates.tolist()), languages, strict=True))
    columns = (*LANGUAGES, "others", None)
    totals = {column: sum(n for (_, language), n in counts.items() if language == column) for column in columns}
    lines = [
        f"\n### {name}\n",
        "| of pages | all | " + " | ".join(column or "no text" for column in columns) + " |",
        "|---|" + "--:|" * (1 + len(columns)),
        f"| pages | {len(fates):,} | " + " | ".join(f"{totals[column]:,}" for column in columns) + " |",
    ]
    order = ["kept", *sorted(set(reasons), key=lambda reason: -sum(counts[reason, c] for c in columns))]
    for reason in order:
        cells = [_share(sum(counts[reason, c] for c in columns), len(fates))]
        cells += [_share(counts[reason, column], totals[column]) for column in columns]
        lines.append(f"| {reason} | " + " | ".join(cells) + " |")
    return lines


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if part else ""


if __name__ == "__main__":
    main()
