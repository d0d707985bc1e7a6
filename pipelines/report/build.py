"""What became of every record: `report.json` for programs, `report.html` for people.

    manifests ──sum──▶ summary ─┐
    ledger ──one pass──▶ Tally ─┴─▶ report.json ──▶ report.html   (+ texts of samples, seconds, alarms)

`report.json` holds no time, date, worker or path of the machine: the same run content gives the same bytes. The page
is one file without script, pictures or requests; it prints, and follows light and dark.
"""

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.ledger.rules import stages_of
from pipelines.ledger.sketch import Outcome, Sketch, TopCounter
from pipelines.recipe import Recipe, load_recipe
from pipelines.report.aggregate import Group, Tally
from pipelines.report.alarms import alarms
from pipelines.report.audit import audits
from pipelines.report.contamination import report_sections
from pipelines.report.duplicates import duplicates
from pipelines.report.histogram import histogram
from pipelines.report.published import compare
from pipelines.run.opening import is_done, read_made_of
from shards.atomic import write_bytes
from shards.errors import RunError, UserError
from shards.manifest import Chains, file_sha256, read_manifest
from shards.stats import Stats

SCHEMA_VERSION = 1
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TOP = 20  # domains and groups of duplicates that are named
_NUMBERS = re.compile(r"\[\n\s+([-+\d.eE,\s]+?)\n\s+\]")


def write_report_json(run: Path) -> None:
    _write_json(run, recipe_of(run))


def write_report(run: Path) -> Path:
    """Write `report.json` and `report.html` of a finished run; the path of the latter."""
    if not (run / "run.json").exists():
        raise UserError(f"{run}: no run of gristmill (it has no run.json)")
    if not is_done(run):
        raise UserError(
            f"{run}: the run is not finished; run the same command again to resume, then ask for its report"
        )
    from pipelines.report.html import render

    recipe = recipe_of(run)
    _require_ledger(run)
    found, tally = _write_json(run, recipe)
    target = run / "report.html"
    write_bytes(target, render(run, recipe, found, tally).encode())
    return target


def summary(run: Path) -> dict[str, Any]:
    """The part of `report.json` that is a sum over the units' manifests. Each document is in `kept` or once in
    `dropped`, under its first reason: input = kept + Σ dropped. `failed` counts every failing rule. RunError where
    units are missing: a sum over a part of the run would look like a whole one."""
    manifests = [read_manifest(p) for p in sorted((run / "shards").glob("*/*.json"))]
    if missing := Chains.of(read_made_of(run)["input"], manifests).missing:
        raise RunError(
            f"{run}: units are missing for {len(missing):,} of the inputs, first {missing[0].key} of "
            f"{missing[0].file}; `gristmill verify {run}` tells what to do"
        )
    stats = Stats.sum(Stats.from_json(m.stats) for m in manifests)
    return {
        "schema_version": SCHEMA_VERSION,
        "documents": {"input": stats["documents/input"], "kept": stats["documents/kept"]},
        "dropped": stats.below("dropped"),
        "failed": stats.below("failed"),
        "records": stats.below("records"),
        "bodies": stats.below("bodies"),
        "damage": [d for m in manifests for d in m.damage],
        "funnel": _funnel(recipe_of(run), stats),
        "units": len(manifests),
    }


def _write_json(run: Path, recipe: Recipe) -> tuple[dict[str, Any], Tally]:
    tally = Tally.of_run(run, recipe)
    found = summary(run)
    if tally.fates != Counter({"": found["documents"]["kept"], **found["dropped"]}):
        raise RunError(
            f"{run}: the ledger and the manifests do not count the same documents; `gristmill verify {run}` tells what "
            "is wrong"
        )
    found |= _details(run, recipe, found, tally)
    found["alarms"] = alarms(recipe.alarms, found["duplicates"], tally.lost_by_host.rows("domain"))
    found["published"] = compare(recipe, found, found)
    if sections := report_sections(run, recipe):
        found["contamination"] = sections
    text = json.dumps(found, ensure_ascii=False, indent=1)
    # A list of numbers takes one line.
    text = _NUMBERS.sub(lambda match: "[" + " ".join(match[1].split()) + "]", text)
    write_bytes(run / "report.json", text.encode() + b"\n")
    return found, tally


def alarm_lines(run: Path) -> list[str]:
    """The alarms of a finished run, as they are told where it ends."""
    found = json.loads((run / "report.json").read_bytes())
    return [f"alarm: {alarm['text'].replace(' RUN', f' {shlex.quote(str(run))}')}" for alarm in found.get("alarms", [])]


def _require_ledger(run: Path) -> None:
    """A changed byte can give other numbers, or crash Arrow, without any error."""
    for path in sorted((run / "shards").glob("*/*.json")):
        for name, written in read_manifest(path).files.items():
            file = run / name
            if name.startswith("ledger/") and (not file.is_file() or file_sha256(file) != written.sha256):
                raise RunError(f"{file}: missing or not what was written; `gristmill verify {run}` tells what to do")


def recipe_of(run: Path) -> Recipe:
    """The resolved recipe of a run."""
    path = run / "recipe.toml"
    if not path.exists():
        raise RunError(f"{path}: missing; run the same command again, it writes the file anew")
    try:
        return load_recipe(str(path))
    except UserError as error:
        raise RunError(f"{error}; delete the file and run the same command again, it writes the file anew") from None


def _funnel(recipe: Recipe, stats: Stats) -> list[dict[str, Any]]:
    """What is left after each stage. There are characters from extraction on; bytes before it are those of bodies."""
    stages = stages_of(recipe)
    counted = [bool(stats[f"funnel/{name}/characters"]) for name, _, _ in stages]
    first = counted.index(True) if any(counted) else len(stages)
    given = stats["documents/input"]
    extracted = stats[f"funnel/{stages[first][0]}/characters"] if any(counted) else 0
    funnel = []
    for number, (name, kind, _) in enumerate(stages):
        documents, characters, num_bytes = (stats[f"funnel/{name}/{n}"] for n in ("documents", "characters", "bytes"))
        has_text = number >= first
        funnel.append(
            {
                "stage": name,
                "kind": kind,
                "documents": documents,
                "documents_share": _share(documents, given),
                "characters": characters if has_text else None,
                "characters_share": _share(characters, extracted) if has_text else None,
                "bytes": num_bytes,
                "bytes_are": "text" if has_text else "bodies",
            }
        )
    return funnel


def _details(run: Path, recipe: Recipe, found: dict[str, Any], tally: Tally) -> dict[str, Any]:
    """What the ledger tells beyond the manifests."""
    made_of = read_made_of(run)
    return {
        "recipe": recipe.name,
        "fingerprint": made_of["digest"],
        "version": made_of["version"],
        "inputs": {"files": len(made_of["input"]), "bytes": sum(size for size, _ in made_of["input"].values())},
        "kept_words": tally.kept_words,
        "rules": _rules(recipe, found, tally),
        "metrics": {name: _metric(tally, name) for name in tally.metrics if tally.sketches[name].count()},
        "languages": [
            {"language": name or "none", **_group(group), "mean_score": round(group.score_sum / group.documents, 4)}
            for name, group in _ranked(tally.languages)
        ],
        "sources": [{"source": name, **_group(group)} for name, group in _ranked(tally.sources)],
        "domains": {
            "kept": _top(tally.kept_hosts),
            "dropped": _top(tally.dropped_hosts),
            "distinct_kept": len(tally.kept_hosts),
            "distinct_dropped": len(tally.dropped_hosts),
            "counts_miss_at_most": {"kept": tally.kept_hosts.missed, "dropped": tally.dropped_hosts.missed},
        },
        "duplicates": duplicates(run, recipe, found["dropped"], tally),
        "guesses": audits(run, recipe, found["dropped"], found["documents"]["kept"]),
    }


def _rules(recipe: Recipe, found: dict[str, Any], tally: Tally) -> list[dict[str, Any]]:
    """Every rule of the recipe, then every global stage, in the order in which they decide."""
    rows: list[dict[str, Any]] = []
    settings = {stage.name: stage.model_dump(mode="json") for _, stage in recipe.stages}
    for name, kind, reason in stages_of(recipe):
        if reason is not None:
            rows.append({"reason": reason, "stage": name, "kind": kind, "metric": None, "setting": "", "keeps": ""})
        for stage, rule in tally.rules:
            if stage == name:
                keeps = {key: settings[stage][key] for key in rule.setting.split(", ") if key}
                rows.append(
                    {
                        "reason": rule.reason,
                        "stage": stage,
                        "kind": kind,
                        "metric": rule.metric,
                        "setting": rule.setting,
                        "keeps": ", ".join(f"{key} = {_setting(value)}" for key, value in keeps.items()),
                    }
                )
    for row in rows:
        count = tally.counts[row["reason"]]
        row |= {"dropped": found["dropped"].get(row["reason"], 0), "failed": count.failed, "alone": count.alone}
    return rows


def _setting(value: Any) -> str:
    match value:
        case None:
            return "built-in"
        case list() if len(value) > 5:
            return f"{len(value)} entries"
        case list():
            return " ".join(map(str, value)) or "[]"
        case dict():
            return " ".join(f"{key} {_setting(entry)}" for key, entry in value.items())
        case str():
            return value.rpartition("/")[2]  # a list's file, without its folder
        case _:
            return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _metric(tally: Tally, name: str) -> dict[str, Any]:
    sketch, rule, integers = tally.sketches[name], tally.metrics[name], name in tally.integers
    values, _ = sketch.values()
    return {
        "measured": sketch.count(),
        "kept": sketch.count(Outcome.KEPT),
        "failed": sketch.count(Outcome.BELOW, Outcome.ABOVE),
        "min_kept": rule.min_kept,
        "max_kept": rule.max_kept,
        "integers": integers,
        "smallest": _plain(values[0], integers),
        "largest": _plain(values[-1], integers),
        "quantiles": {f"p{q * 100:g}": _plain(sketch.quantile(q), integers) for q in _QUANTILES},
        "histogram": None if _is_flag(sketch, integers) else asdict(histogram(sketch, rule, integers=integers)),
    }


def _is_flag(sketch: Sketch, integers: bool) -> bool:
    """Yes or no: the counts of its rule say all."""
    return integers and set(sketch.values()[0].tolist()) <= {0.0, 1.0}


def _plain(value: float, integer: bool) -> float | int:
    return int(value) if integer else float(f"{value:.6g}")


def _ranked(groups: Mapping[str, Group]) -> list[tuple[str, Group]]:
    named = ((name, group) for name, group in groups.items() if name is not None and group.documents)
    return sorted(named, key=lambda item: (-item[1].documents, item[0]))


def _group(group: Group) -> dict[str, int]:
    return {"documents": group.documents, "kept": group.kept, "kept_characters": group.kept_chars}


def _top(counter: TopCounter) -> list[dict[str, Any]]:
    return [{"domain": name, "documents": number} for name, number in counter.top(_TOP)]


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
