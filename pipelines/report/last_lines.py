"""The last lines of a run: documents dropped by reason, documents kept, audits, alarms and damaged files."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from pipelines.lines import Line, Table
from pipelines.numbers import counted, percent_of
from pipelines.report.audit import audits, sentence
from pipelines.report.build import alarm_lines, summary
from pipelines.report.model import num_places
from pipelines.run.folder import RunFolder

_DAMAGE_SHOWN = 5


def lines(run: Path, *, next_step: bool = True) -> Iterator[Line]:
    """The funnel of a finished run. With `next_step`, name its shards and the command for its report."""
    sums, folder = summary(run), RunFolder(run)
    read, kept = sums.documents.input, sums.documents.kept
    most_frequent_first = sorted(sums.dropped.items(), key=lambda item: -item[1])
    yield Table(
        ("reason", "dropped", "share of input"),
        tuple((reason, f"{count:,}", percent_of(count, read)) for reason, count in most_frequent_first),
        numbers=True,
    )
    where = f", in {run}/shards" if next_step else ""
    yield f"{counted(read, 'document')} in, {kept:,} kept ({percent_of(kept, read)}){where}"
    for audit in audits(folder, folder.recipe(), sums):
        yield sentence(audit)
    yield from alarm_lines(run)
    for damage in sums.damage[:_DAMAGE_SHOWN]:
        like_it = f" (and {damage.places - 1:,} more like it)" if damage.places > 1 else ""
        yield f"damaged: {damage.file}: offset {damage.offset}: {damage.cause}{like_it}"
    if (more := num_places(sums.damage[_DAMAGE_SHOWN:])) > 0:
        yield f"damaged: {counted(more, 'more place')}, see {run}/report.json"
    if folder.has(RunFolder.FAILED):
        number = folder.path(RunFolder.FAILED).read_bytes().count(b"\n")
        yield (
            f"{counted(number, 'record')} of an index could not be had; a run with the source "
            f'kind = "index", paths = "{run}/{RunFolder.FAILED}" tries again'
        )
    if next_step:
        yield f"next: gristmill report {shlex.quote(str(run))}"
