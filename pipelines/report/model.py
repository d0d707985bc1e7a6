"""`report.json` as types: what a finished run made of its input.

    Report ─┬─ Summary               sums over the units' manifests
            ├─ rules, metrics, …     one pass over the ledger
            └─ alarms, published     conclusions from both

The file holds no time, date, worker or path of the machine: equal runs have equal bytes. A field is a key of the file,
under its own name unless an alias says otherwise. Its comment is its description in `docs/report.schema.json`
(`pipelines.report.schema`). Shares are 0 to 1 and null where the whole is empty. Characters are Unicode code points.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pipelines.run.folder import RunFolder
from shards import mirror
from shards.errors import RunError
from shards.limits import check_limits

SCHEMA_VERSION: Literal[1] = 1

Number: TypeAlias = int | float  # an integer where the metric or the threshold is one
StageAlarm: TypeAlias = dict[str, int | float | str]  # its sort under "alarm"; the other keys are the stage's own

_LINES_OF_NUMBERS = re.compile(r"\[\n\s+([-+\d.eE,\s]+?)\n\s+\]")


class Part:
    """Base of everything in a report: reading is strict, and no key is unknown."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class Documents(Part):
    """Documents of the input: each is kept or dropped."""

    input: int  # documents read
    kept: int  # documents in the shards


@dataclass(frozen=True)
class DamagedPlace(Part):
    """A place of the input that could not be read. Reading went on after it where there was more."""

    file: str  # input file, relative to its source
    offset: int  # byte of the file
    cause: str  # what is wrong there
    places: int = 1  # places of the file with damage of this kind that the entry stands for, the first of which it is


@dataclass(frozen=True)
class FunnelStage(Part):
    """What is left after one stage."""

    stage: str  # its name in the recipe
    kind: str  # its kind
    documents: int  # documents left
    documents_share: float | None  # of the input
    characters: int | None  # characters left; null before there is text
    characters_share: float | None  # of the extracted characters; null before there is text
    bytes: int  # bytes left, of what `bytes_are` says
    bytes_are: Literal["text", "bodies"]  # UTF-8 text, or bodies of pages before extraction


@dataclass(frozen=True)
class Summary(Part):
    """The part of a report that is a sum over the manifests. input = kept + Σ dropped."""

    schema_version: Literal[1]  # raised when the meaning of a key changes
    documents: Documents  # documents of the input
    dropped: dict[str, int]  # documents by their first drop reason
    failed: dict[str, int]  # documents by each rule that they fail
    records: dict[str, int]  # records of the input that are no documents, by WARC type
    bodies: dict[str, int]  # records by what was odd about their bodies
    damage: tuple[DamagedPlace, ...]  # in the order of source, file and part; a few of each kind in a file
    funnel: tuple[FunnelStage, ...]  # in the order in which stages ran
    units: int  # units of work


@dataclass(frozen=True)
class Inputs(Part):
    """What was read."""

    files: int  # input files
    bytes: int  # their bytes, as stored


@dataclass(frozen=True)
class Split(Part):
    """The documents of one language, host or suffix that a rule dropped."""

    name: str  # code of the language, host without "www.", or last label of the host
    dropped: int  # documents whose first reason the rule is
    documents: int  # all documents of the input with this name


@dataclass(frozen=True)
class Together(Part):
    """Another rule that documents fail together with this one."""

    reason: str  # drop reason of the other rule
    documents: int  # documents that fail both


@dataclass(frozen=True)
class RuleRow(Part):
    """A rule of a local stage, or a global stage as a whole."""

    reason: str  # drop reason
    stage: str  # its stage
    kind: str  # kind of the stage
    metric: str | None  # column that is compared; null for a global stage
    setting: str  # settings that hold the threshold; "" for a global stage
    keeps: str  # these settings with their values, for people
    dropped: int  # documents whose first reason it is
    failed: int  # documents outside the threshold, also those that another rule dropped
    alone: int  # documents that fail no other rule that was measured
    # Reports of earlier versions lack these:
    together: tuple[Together, ...] = ()  # rules that most documents fail together with this one, most first
    languages: tuple[Split, ...] = ()  # of which it dropped most documents
    hosts: tuple[Split, ...] = ()  # of which it dropped most documents
    suffixes: tuple[Split, ...] = ()  # of which it dropped most documents


@dataclass(frozen=True)
class Quantiles(Part):
    """Values that the named percentage of all values do not exceed, rounded down by at most 0.1 %."""

    p1: Number  # 1st percentile
    p5: Number  # 5th percentile
    p25: Number  # 25th percentile
    p50: Number  # median
    p75: Number  # 75th percentile
    p95: Number  # 95th percentile
    p99: Number  # 99th percentile


@dataclass(frozen=True)
class Histogram(Part):
    """Counts by bin: first below edges[0], then [edges[i], edges[i + 1]), last above the last edge."""

    log: bool  # whether bins have equal ratios; otherwise equal widths
    edges: tuple[Number, ...]  # ascending; thresholds are among them
    kept: tuple[int, ...]  # documents kept, by bin
    other: tuple[int, ...]  # documents that pass the rules on this metric and were dropped by others, by bin
    failing: tuple[int, ...]  # documents that fail a rule on this metric, by bin


@dataclass(frozen=True)
class Metric(Part):
    """A metric at which a rule looks, over the documents for which it was measured."""

    measured: int  # documents with a value
    kept: int  # of them, kept documents
    failed: int  # of them, documents outside the thresholds
    min_kept: Number | None  # smallest value that passes; null without such a threshold
    max_kept: Number | None  # largest value that passes; null without such a threshold
    integers: bool  # whether values are counts
    smallest: Number  # smallest value
    largest: Number  # largest value
    quantiles: Quantiles  # of all values
    histogram: Histogram | None  # null for a metric that is 0 or 1


@dataclass(frozen=True)
class Sweep(Part):
    """What a rule would drop with other thresholds: documents that reach it, by value and by fate without the rule.

    Bins lie below, at and above each edge in turn: bin 2·i + 1 holds values equal to edges[i]. With a minimum of
    edges[i] the bins below 2·i + 1 fail, with a maximum the bins above it. A document that fails is dropped by the
    rule; another has its fate.
    """

    reason: str  # drop reason of the rule
    stage: str  # its stage
    min_setting: str | None  # setting that holds the minimum, as `gristmill whatif --set` takes it; null without one
    max_setting: str | None  # setting that holds the maximum; null without one
    min_kept: Number | None  # the minimum of the run; null without one
    max_kept: Number | None  # the maximum of the run; null without one
    edges: tuple[Number, ...]  # ascending; thresholds of the run are among them
    fates: tuple[str, ...]  # "kept", a drop reason, or "?" and the first stage whose verdict nobody knows
    cells: tuple[int, ...]  # bin, index of the fate, documents, characters, bin, …


@dataclass(frozen=True)
class LanguageSubtotal(Part):
    """The documents in one language."""

    language: str  # code of lid.176, or "none"
    documents: int  # documents in this language
    kept: int  # of them, kept documents
    kept_characters: int  # characters of the kept documents
    mean_score: float  # mean score of the identification, 0 to 1


@dataclass(frozen=True)
class SourceSubtotal(Part):
    """The documents of one source."""

    source: str  # its name in the recipe
    documents: int  # documents of this source
    kept: int  # of them, kept documents
    kept_characters: int  # characters of the kept documents


@dataclass(frozen=True)
class DomainCount(Part):
    """A host and its documents."""

    domain: str  # host without "www."
    documents: int  # documents from it


@dataclass(frozen=True)
class CountsMiss(Part):
    """By how many documents a count of a domain can be too small, because the rarest hosts are forgotten."""

    kept: int  # for kept documents
    dropped: int  # for dropped documents


@dataclass(frozen=True)
class Domains(Part):
    """The hosts with most documents."""

    kept: tuple[DomainCount, ...]  # by kept documents, most first
    dropped: tuple[DomainCount, ...]  # by dropped documents, most first
    distinct_kept: int  # hosts with a kept document
    distinct_dropped: int  # hosts with a dropped document
    counts_miss_at_most: CountsMiss  # error of the counts


@dataclass(frozen=True)
class SizeClass(Part):
    """The clusters with as many documents as the class says."""

    least: Annotated[int, Field(alias="from")]  # smallest number of documents of a cluster in this class
    most: Annotated[int | None, Field(alias="to")]  # largest number; null for the last class
    groups: int  # clusters
    documents: int  # their documents
    characters: int  # characters of these documents, as long as they were when they were removed


@dataclass(frozen=True)
class DedupStage(Part):
    """A global stage that removes duplicates."""

    stage: str  # its name in the recipe
    kind: str  # its kind
    reason: str  # its drop reason
    removed: int  # documents that it removed
    lost_characters: int  # characters of the removed documents, and those that were cut from others
    verified_pairs: int | None  # pairs found similar enough; null where the stage keeps none
    sizes: tuple[SizeClass, ...] | None  # clusters of this stage alone; null where removed documents are no copies
    alarms: tuple[StageAlarm, ...]  # what the stage wrote into dedup/<stage>/alarms.json


@dataclass(frozen=True)
class ClusterMember(Part):
    """A removed document of a cluster."""

    id: str  # its id
    url: str  # its URL; "" where there is none
    similarity: float | None  # to its twin; null where it was not measured
    reason: str  # its drop reason


@dataclass(frozen=True)
class LargeCluster(Part):
    """A cluster with the most documents, over all stages."""

    twin: str  # id of the representative
    url: str  # its URL; "" where it is not of this run
    fate: str  # "kept", its drop reason, or "not in this run"
    size: int  # documents, with the representative
    removed: int  # documents without it
    characters: int  # characters of all of them
    members: tuple[ClusterMember, ...]  # removed documents with the smallest ids, a random choice


@dataclass(frozen=True)
class SimilarityHistogram(Part):
    """Removed documents by their similarity to the twin."""

    edges: tuple[float, ...]  # ascending, in steps of .02
    documents: tuple[int, ...]  # documents between two edges; 1.0 is in the last bin


@dataclass(frozen=True)
class StageLoss(Part):
    """What one reason takes from a source or a domain."""

    reason: str  # drop reason of a global stage
    lost_documents: int  # documents removed
    lost_characters: int  # characters removed or cut


@dataclass(frozen=True)
class Loss(Part):
    """What deduplication takes; before it are all documents that no rule dropped, after it those that are kept."""

    name: str  # whose documents
    documents_before: int  # documents before deduplication
    lost_documents: int  # documents removed
    share_of_documents_before: float | None  # of all documents before
    share_of_documents_after: float | None  # of all documents after
    characters_before: int  # characters before deduplication
    lost_characters: int  # characters removed or cut
    share_of_characters_before: float | None  # of all characters before
    share_of_characters_after: float | None  # of all characters after
    stages: tuple[StageLoss, ...]  # the same by reason, in the order of the recipe


@dataclass(frozen=True)
class SourceLoss(Loss):
    """What deduplication takes from a source."""

    name: Annotated[str, Field(alias="source")]  # name of the source in the recipe


@dataclass(frozen=True)
class DomainLoss(Loss):
    """What deduplication takes from a domain."""

    name: Annotated[str, Field(alias="domain")]  # host without "www."


@dataclass(frozen=True)
class Duplicates(Part):
    """Clusters of duplicates, and what deduplication removes. A cluster has two documents or more."""

    stages: tuple[DedupStage, ...]  # in the order in which they ran
    groups: int  # clusters, over all stages
    groups_above_max: int  # clusters with more documents than alarms.max_group
    sizes: tuple[SizeClass, ...] | None  # clusters by size, over all stages; null without a stage that finds any
    largest: tuple[LargeCluster, ...]  # most documents first
    similarity: dict[str, SimilarityHistogram]  # by drop reason, where similarities below 1 occur
    sources: tuple[SourceLoss, ...]  # most lost characters first
    domains: tuple[DomainLoss, ...]  # those that lose most characters
    domain_counts_miss_at_most: int  # documents by which a count of a domain can be too small


@dataclass(frozen=True)
class GuessAudit(Part):
    """What a guess before extraction cost, estimated from documents that it was not allowed to drop."""

    stage: str  # name of the stage that guesses
    guessed_out: int  # documents that the guess dropped
    audited: int  # documents in the sample that it would have dropped
    audited_kept: int  # of them, documents that later stages kept
    lost: float | None  # estimated documents lost that would have been kept; null without a sample
    lost_least: float  # lower end of the 95 % interval of `lost`
    lost_most: float  # upper end of the 95 % interval of `lost`
    lost_share: float | None  # `lost`, of the kept and the lost documents together
    lost_share_least: float | None  # lower end of its 95 % interval
    lost_share_most: float | None  # upper end of its 95 % interval


@dataclass(frozen=True)
class Alarm(Part):
    """What a person should look at before using the shards."""

    alarm: str  # its sort: "group", "source", "domain", "stage" or "rule"
    text: str  # a line that ends with what to do; RUN stands for the folder of the run


@dataclass(frozen=True)
class PublishedStep(Part):
    """A step of the paper beside the same step of this run; percentages are of the input."""

    step: str  # the paper's name for it
    stage: str  # last stage of this run that belongs to it
    documents: float  # percent of the documents left
    characters: float | None  # percent of the extracted characters left; null before there is text
    published: float  # percent left in the paper
    gap: float  # documents - published, in points
    parts: dict[str, float]  # the gap in points by the step that causes it
    reasons: tuple[str, ...]  # sentences on the causes, where the gap is above 5 points


@dataclass(frozen=True)
class Published(Part):
    """This run beside the figures of a paper."""

    paper: str  # its title
    caveat: str  # what to know before comparing
    steps: tuple[PublishedStep, ...]  # in the order of the paper


@dataclass(frozen=True)
class SearchedSet(Part):
    """An evaluation set and what was found of it."""

    name: str  # its name in the recipe
    items: int  # items of the set
    searched: int  # items long enough to be searched for
    found: int  # items of which a document holds an n-gram
    documents: int  # documents that hold one


@dataclass(frozen=True)
class Hit(Part):
    """A passage of an evaluation item in a document."""

    set: str  # name of the set
    item: str  # item of the set, "arc:17"
    id: str  # id of the document
    url: str | None  # its URL
    fate: str  # "kept", or its first drop reason
    found: str  # the passage, as it stands in the document


@dataclass(frozen=True)
class Contamination(Part):
    """What a stage found of its evaluation sets."""

    stage: str  # its name in the recipe
    ngram: int  # words that an n-gram has
    action: str  # what happens to a document with a hit: "drop", "cut" or "flag"
    documents: int  # documents searched
    sets: tuple[SearchedSet, ...]  # in the order of the settings
    hits: tuple[Hit, ...]  # by document, then by item


@dataclass(frozen=True)
class ReportedContamination(Contamination):
    """What a stage found of its evaluation sets; `hits` are the first ones only."""

    sentences: tuple[str, ...]  # totals for people
    all_hits: int  # hits in all


@dataclass(frozen=True)
class Report(Summary):
    """`report.json`: what a finished run made of its input."""

    recipe: str  # name of the recipe
    fingerprint: str  # sha256 of everything that the run's bytes depend on
    version: str  # version of gristmill
    inputs: Inputs  # files that were read
    kept_words: int | None  # words of kept documents; null where no rule counts words
    rules: tuple[RuleRow, ...]  # in the order in which they decide
    metrics: dict[str, Metric]  # by column, where a value was measured
    languages: tuple[LanguageSubtotal, ...]  # most documents first
    sources: tuple[SourceSubtotal, ...]  # most documents first
    domains: Domains  # hosts with most documents
    duplicates: Duplicates  # clusters and losses
    guesses: tuple[GuessAudit, ...]  # a stage that guesses each
    alarms: tuple[Alarm, ...]  # what to look at before using the shards
    published: Published | None  # beside the paper; null for a recipe without one
    contamination: tuple[ReportedContamination, ...] = ()  # a stage that searches each; absent where there is none
    sweeps: tuple[Sweep, ...] = ()  # of each rule with a threshold that can be moved, in the order of rules


def num_places(damage: Iterable[DamagedPlace]) -> int:
    """The places of the input that these entries stand for."""
    return sum(entry.places for entry in damage)


def num_removed(report: Summary, stage: str) -> int:
    """The documents that a stage dropped."""
    names = [one.stage for one in report.funnel]
    number = names.index(stage)
    return (report.funnel[number - 1].documents if number else report.documents.input) - report.funnel[number].documents


def rounded_share(part: float, whole: float) -> float | None:
    """part / whole, as a report holds it."""
    return round(part / whole, 6) if whole else None


def to_json(value: Part | list[Contamination]) -> str:
    """JSON of a report or of parts, with keys in the order of the fields. A list of numbers takes one line."""
    data = TypeAdapter(type(value) if isinstance(value, Part) else list[Contamination]).dump_python(
        value, by_alias=True, warnings="error"
    )
    if isinstance(value, Report) and not value.contamination:
        del data["contamination"]
    text = json.dumps(data, ensure_ascii=False, indent=1)
    return _LINES_OF_NUMBERS.sub(lambda match: "[" + " ".join(match[1].split()) + "]", text) + "\n"


def write_report_file(folder: RunFolder, report: Report) -> None:
    folder.write(RunFolder.REPORT, to_json(report).encode())


def read_report_file(folder: RunFolder) -> Report:
    """The report of a finished run. RunError where the file is not a report of this version."""
    path = folder.path(RunFolder.REPORT)
    remedy = f"`gristmill report {folder.root}` writes it anew"
    try:
        return _adapter().validate_json(mirror.read_bytes(path))
    except OSError as error:
        check_limits(path, error)
        raise RunError(f"{path}: not readable ({error.strerror}); {remedy}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise RunError(f"{path}: not a report: {f'{key}: ' if key else ''}{first['msg']}; {remedy}") from None


def differing(a: Summary, b: Summary) -> list[str]:
    """Names of the keys of the summary in which two reports differ."""
    return [field.name for field in fields(Summary) if getattr(a, field.name) != getattr(b, field.name)]


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)
