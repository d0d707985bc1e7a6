"""Looking up words in the shards of a run or of a training."""

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.printing import show, show_all, show_json
from pipelines.lines import Table
from pipelines.numbers import counted
from shards.errors import UserError


def search(
    folder: Annotated[Path, typer.Argument(help="A run, a token folder or a training.", metavar="RUN")],
    text: Annotated[str | None, typer.Argument(help="The words to look up.")] = None,
    next_words: Annotated[bool, typer.Option("--next", help="Show what follows the words, by count.")] = False,
    spans: Annotated[
        Path | None, typer.Option(help="A text file, as a model's output: show its passages that stand in the shards.")
    ] = None,
    min_words: Annotated[int, typer.Option(help="Words of the shortest passage.", min=1)] = 8,
    limit: Annotated[int, typer.Option(help="Occurrences or next words to show.", min=0)] = 10,
    index: Annotated[Path | None, typer.Option(help="Folder of the suffix arrays; RUN/search if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count words in shards and show where they stand, what follows them, or which passages of a text stand there."""
    if find_spec("pydivsufsort") is None:
        raise UserError("searching needs the extra `train`: pip install 'gristmill[train]'")
    from pretrain.search.corpus import TEXT_END, open_corpus

    if (text is None) == (spans is None):
        raise UserError("give either words to look up or --spans FILE")
    corpus = open_corpus(folder, index)
    if spans is not None:
        found = corpus.spans(_read(spans), min_words=min_words, limit=limit)
        if as_json:
            show_json([asdict(span) for span in found])
            return
        for span in found:
            show(f"{counted(span.num_words, 'word')}, {counted(span.count, 'time')}: {span.text}")
            show_all(f"    {place.url} {place.source}/{place.shard} row {place.document}" for place in span.places)
        show(f"{counted(len(found), 'passage')} of {min_words} words or more")
        return
    assert text is not None
    if next_words:
        counts = corpus.next_words(text)
        total = counts.total()
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if as_json:
            show_json({"count": total, "next": dict(ranked)})
            return
        rows = [(word or "end of text", f"{n:,}", f"{n / total:.2%}") for word, n in ranked[:limit]]
        show(f"{counted(total, 'time')}, followed by {counted(len(counts) - (TEXT_END in counts), 'word')}")
        show(Table(("word", "times", "share"), tuple(rows), numbers=True))
        return
    count, places = corpus.places(text, limit)
    if as_json:
        show_json({"count": count, "places": [asdict(place) for place in places]})
        return
    show(f"{counted(count, 'time')} in {counted(len(corpus.shards), 'shard')}")
    for place in places:
        words = " ".join(f"{place.before}[{place.there}]{place.after}".split())
        show(f"{place.url} {place.source}/{place.shard} row {place.document}: …{words}…")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}; give a UTF-8 text file") from None
