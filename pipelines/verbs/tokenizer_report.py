"""`gristmill tokenizer report`: the measures of a tokenizer in words."""

from collections.abc import Iterator, Sequence

from pipelines.lines import Line, Table
from pipelines.numbers import NOTHING, counted, percent_of
from pretrain.tokenizing.tokenizer_report import TextCost, TokenizerReport

_SHOWN = 20  # entries without use


def lines(report: TokenizerReport) -> Iterator[Line]:
    """A table of bytes a token, then the entries without use and what an extension gains."""
    languages = sorted({cost.language for cost in report.costs if cost.language is not None})
    rows = [_row(cost.source, cost.language or NOTHING, [cost]) for cost in report.costs]
    rows += [_row("all", language, [c for c in report.costs if c.language == language]) for language in languages]
    rows.append(_row("all", "all", report.costs))
    headings = ("source", "language", "documents", "bytes", "tokens", "bytes a token", "extended", "fewer tokens")
    width = len(headings) if report.num_new else len(headings) - 2
    yield Table(headings[:width], tuple(row[:width] for row in rows), numbers=True)
    share = percent_of(len(report.unused), report.vocab_size)
    some = f": {' '.join(report.unused[:_SHOWN])}{' …' if len(report.unused) > _SHOWN else ''}" if report.unused else ""
    yield f"{len(report.unused):,} of {report.vocab_size:,} entries ({share}) are used by no text of the sample{some}"
    if report.num_new:
        yield (
            f"the extension has {counted(report.num_new, 'new token')} learned from half of the sample; "
            f"the other half, which is measured, uses {report.num_new_used:,} of them"
        )


def _row(source: str, language: str, costs: Sequence[TextCost]) -> tuple[str, ...]:
    documents, num_bytes, tokens, extended = (
        sum(getattr(cost, name) or 0 for cost in costs)
        for name in ("num_documents", "num_bytes", "num_tokens", "num_extended_tokens")
    )
    return (
        source,
        language,
        f"{documents:,}",
        f"{num_bytes:,}",
        f"{tokens:,}",
        f"{num_bytes / tokens:.3f}" if tokens else NOTHING,
        f"{num_bytes / extended:.3f}" if extended else NOTHING,
        percent_of(tokens - extended, tokens),
    )
