"""`report.json` for programs and `report.html` for people: what became of every record of a run.

    manifests ──sum──▶ Summary ──────────┐
    ledger ──one pass──▶ Aggregates ─────┴─▶ Report ──▶ report.json
                                               └──────▶ report.html   (+ texts of samples, seconds)

The page is one file without pictures or requests, whose one script may be left out. It prints, and follows light and
dark.
"""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from pipelines.ledger.rules import stages_of
from pipelines.ledger.sketch import Outcome, Sketch, TopCounter
from pipelines.recipe import Recipe
from pipelines.report.aggregate import Aggregates, Subtotal
from pipelines.report.alarms import alarms
from pipelines.report.audit import audits
from pipelines.report.contamination import reported_contamination
from pipelines.report.duplicates import duplicates
from pipelines.report.histogram import histogram
from pipelines.report.model import (
    SCHEMA_VERSION,
    CountsMiss,
    DamagedPlace,
    Documents,
    DomainCount,
    DomainLoss,
    Domains,
    FunnelStage,
    Inputs,
    LanguageSubtotal,
    Metric,
    Number,
    Quantiles,
    Report,
    RuleRow,
    SourceSubtotal,
    Summary,
    read_report_file,
    rounded_share,
    write_report_file,
)
from pipelines.report.published import beside_paper
from pipelines.run.folder import RunFolder
from pipelines.run.manifests import Manifests, Sums
from shards.errors import RunError
from shards.manifest import Chains
from shards.stage import Rule
from shards.stats import Stats

_DOMAINS_SHOWN = 20
_ENTRIES_SHOWN = 5  # of a setting that is a list


def write_report_json(path: Path) -> None:
    """Write `report.json` of the run in the folder `path`, all of whose units are made."""
    run = RunFolder(path)
    _write_json(run, run.recipe())


def write_report(path: Path) -> Path:
    """Write `report.json` and `report.html` of the finished run in the folder `path`; the path of the latter."""
    from pipelines.report.page.render import render

    run = RunFolder(path)
    run.require_done("then ask for its report")
    recipe = run.recipe()
    _require_ledger(run)
    report, aggregates = _write_json(run, recipe)
    run.write(RunFolder.REPORT_PAGE, render(run, recipe, report, aggregates).encode())
    return run.path(RunFolder.REPORT_PAGE)


def made_report(path: Path) -> Report:
    """The report of the finished run in the folder `path`, made anew; nothing is written."""
    run = RunFolder(path)
    run.require_done("then ask for its report")
    recipe = run.recipe()
    _require_ledger(run)
    return _made(run, recipe)[0]


def alarm_lines(path: Path) -> list[str]:
    """The alarms of the finished run in the folder `path`, as they are printed where it ends."""
    report = read_report_file(RunFolder(path))
    return [f"alarm: {alarm.text.replace(' RUN', f' {shlex.quote(str(path))}')}" for alarm in report.alarms]


def summary(path: Path) -> Summary:
    """The part of the report that is a sum over the units' manifests.

    Each document is in `kept` or once in `dropped`, under its first reason; `failed` counts every failing rule.
    RunError where units are missing: a sum over a part of the run would look like a whole one.
    """
    run = RunFolder(path)
    return _summary(run, run.manifests().sums())


def summary_of_files(path: Path) -> Summary:
    """`summary`, for which each manifest is read from its own file."""
    run = RunFolder(path)
    return _summary(run, Manifests(run, summed=False).sums())


def _summary(run: RunFolder, sums: Sums) -> Summary:
    stats = sums.stats
    if missing := Chains.of(run.made_of().inputs, sums.links).missing:
        raise RunError(
            f"{run}: units are missing for {len(missing):,} of the inputs, first {missing[0].key} of "
            f"{missing[0].file}; `gristmill verify {run}` reports what to do"
        )
    return Summary(
        schema_version=SCHEMA_VERSION,
        documents=Documents(input=stats["documents/input"], kept=stats["documents/kept"]),
        dropped=stats.below("dropped"),
        failed=stats.below("failed"),
        records=stats.below("records"),
        bodies=stats.below("bodies"),
        damage=tuple(DamagedPlace(**asdict(place)) for place in sums.damage),
        funnel=_funnel(run.recipe(), stats),
        units=len(sums.links),
    )


def _write_json(run: RunFolder, recipe: Recipe) -> tuple[Report, Aggregates]:
    report, aggregates = _made(run, recipe)
    run.manifests().sum_up()
    write_report_file(run, report)
    return report, aggregates


def _made(run: RunFolder, recipe: Recipe) -> tuple[Report, Aggregates]:
    aggregates = Aggregates.of_run(run, recipe)
    sums = _summary(run, run.manifests().sums())
    if aggregates.fates != Counter({"": sums.documents.kept, **sums.dropped}):
        raise RunError(
            f"{run.root}: the ledger and the manifests do not count the same documents; "
            f"`gristmill verify {run.root}` reports what is wrong"
        )
    return _report(run, recipe, sums, aggregates), aggregates


def _report(run: RunFolder, recipe: Recipe, sums: Summary, aggregates: Aggregates) -> Report:
    made_of = run.made_of()
    found = duplicates(run, recipe, sums, aggregates)
    report = Report(
        **vars(sums),
        recipe=recipe.name,
        fingerprint=made_of.digest,
        version=made_of.version,
        inputs=Inputs(files=len(made_of.inputs), bytes=sum(size for size, _ in made_of.inputs.values())),
        kept_words=aggregates.kept_words,
        rules=_rules(recipe, sums, aggregates),
        metrics={name: _metric(aggregates, name) for name in aggregates.metrics if aggregates.sketches[name].count()},
        sweeps=tuple(aggregates.sweeps.rows()),
        languages=tuple(
            LanguageSubtotal(
                name or "none",
                subtotal.documents,
                subtotal.kept,
                subtotal.kept_chars,
                mean_score=round(subtotal.score_sum / subtotal.documents, 4),
            )
            for name, subtotal in _ranked(aggregates.languages)
        ),
        sources=tuple(
            SourceSubtotal(name, subtotal.documents, subtotal.kept, subtotal.kept_chars)
            for name, subtotal in _ranked(aggregates.sources)
        ),
        domains=Domains(
            kept=_top(aggregates.kept_hosts),
            dropped=_top(aggregates.dropped_hosts),
            distinct_kept=len(aggregates.kept_hosts),
            distinct_dropped=len(aggregates.dropped_hosts),
            counts_miss_at_most=CountsMiss(aggregates.kept_hosts.missed, aggregates.dropped_hosts.missed),
        ),
        duplicates=found,
        guesses=audits(run, recipe, sums),
        alarms=alarms(recipe.alarms, found, aggregates.lost_by_host.rows(DomainLoss), aggregates.lost_to_rules.rows()),
        published=None,
        contamination=reported_contamination(run, recipe),
    )
    return replace(report, published=beside_paper(recipe, report))


def _require_ledger(run: RunFolder) -> None:
    """RunError where a file of the ledger is not what was written: a changed byte can give other numbers, or crash
    Arrow, without any error."""
    manifests = run.manifests()
    files = run.paths([run.ledger(key) for key in manifests.units])
    for file, key, manifest in zip(files, manifests.units, manifests, strict=True):
        written = manifest.files.get(run.ledger(key))
        if written is not None and not written.is_at(file):
            raise RunError(f"{file}: missing or not what was written; `gristmill verify {run.root}` reports what to do")


def _funnel(recipe: Recipe, stats: Stats) -> tuple[FunnelStage, ...]:
    """What is left after each stage. Before the first stage that counts characters, bytes are those of bodies."""
    stages = stages_of(recipe)
    with_text = [bool(stats[f"funnel/{stage.name}/characters"]) for stage in stages]
    first = with_text.index(True) if any(with_text) else len(stages)
    extracted = stats[f"funnel/{stages[first].name}/characters"] if any(with_text) else 0
    funnel = []
    for number, stage in enumerate(stages):
        documents, characters, num_bytes = (
            stats[f"funnel/{stage.name}/{what}"] for what in ("documents", "characters", "bytes")
        )
        has_text = number >= first
        funnel.append(
            FunnelStage(
                stage=stage.name,
                kind=stage.kind,
                documents=documents,
                documents_share=rounded_share(documents, stats["documents/input"]),
                characters=characters if has_text else None,
                characters_share=rounded_share(characters, extracted) if has_text else None,
                bytes=num_bytes,
                bytes_are="text" if has_text else "bodies",
            )
        )
    return tuple(funnel)


def _rules(recipe: Recipe, sums: Summary, aggregates: Aggregates) -> tuple[RuleRow, ...]:
    """Every rule of the recipe, and every global stage, in the order in which they decide."""
    settings = {stage.name: stage.model_dump(mode="json") for _, stage in recipe.stages}
    rows: list[RuleRow] = []
    for stage in stages_of(recipe):
        rules = [Rule(stage.reason, "", "")] if stage.reason is not None else []
        rules += [rule for name, rule in aggregates.rules if name == stage.name]
        for rule in rules:
            keeps = {key: settings[stage.name][key] for key in rule.setting.split(", ") if key}
            counts, code = aggregates.counts[rule.reason], aggregates.sweeps.order.reasons.index(rule.reason)
            rows.append(
                RuleRow(
                    reason=rule.reason,
                    stage=stage.name,
                    kind=stage.kind,
                    metric=rule.metric or None,
                    setting=rule.setting,
                    keeps=", ".join(f"{key} = {_setting(value)}" for key, value in keeps.items()),
                    dropped=sums.dropped.get(rule.reason, 0),
                    failed=counts.failed,
                    alone=counts.alone,
                    together=aggregates.overlaps.of(rule.reason),
                    languages=aggregates.by_language.of(code),
                    hosts=aggregates.by_host.of(code),
                    suffixes=aggregates.by_suffix.of(code),
                )
            )
    return tuple(rows)


def _setting(value: Any) -> str:
    """A value of a setting, as JSON has it, for people."""
    match value:
        case None:
            return "built-in"
        case list() if len(value) > _ENTRIES_SHOWN:
            return f"{len(value)} entries"
        case list():
            return " ".join(map(str, value)) or "[]"
        case dict():
            return " ".join(f"{key} {_setting(entry)}" for key, entry in value.items())
        case str():
            return value.rpartition("/")[2]  # the file of a list, without its folder
        case _:
            return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _metric(aggregates: Aggregates, name: str) -> Metric:
    sketch, rule, integers = aggregates.sketches[name], aggregates.shown_rule(name), name in aggregates.integers
    values, _ = sketch.values()
    quantiles = {field.name: sketch.quantile(int(field.name[1:]) / 100) for field in fields(Quantiles)}
    return Metric(
        measured=sketch.count(),
        kept=sketch.count(Outcome.KEPT),
        failed=sketch.count(Outcome.BELOW, Outcome.ABOVE),
        min_kept=rule.min_kept,
        max_kept=rule.max_kept,
        integers=integers,
        smallest=_plain(values[0], integers),
        largest=_plain(values[-1], integers),
        quantiles=Quantiles(**{name: _plain(value, integers) for name, value in quantiles.items()}),
        histogram=None
        if _is_flag(sketch, integers)
        else histogram(sketch, rule, integers=integers, is_strict=aggregates.is_strict(name)),
    )


def _is_flag(sketch: Sketch, integers: bool) -> bool:
    """Whether all values are 0 or 1: the counts of the rule say all."""
    return integers and set(sketch.values()[0].tolist()) <= {0.0, 1.0}


def _plain(value: float, integer: bool) -> Number:
    return int(value) if integer else float(f"{value:.6g}")


def _ranked(subtotals: Mapping[str, Subtotal]) -> list[tuple[str, Subtotal]]:
    """Most documents first; documents without a name are left out."""
    named = ((name, subtotal) for name, subtotal in subtotals.items() if name is not None and subtotal.documents)
    return sorted(named, key=lambda item: (-item[1].documents, item[0]))


def _top(counter: TopCounter) -> tuple[DomainCount, ...]:
    return tuple(DomainCount(name, number) for name, number in counter.top(_DOMAINS_SHOWN))
