"""What a reader of a report should know first, in sentences, and its tokens, estimated."""

from dataclasses import dataclass

from pipelines.numbers import counted, percent, share
from pipelines.recipe import Recipe
from pipelines.report.audit import sentence
from pipelines.report.model import Report, RuleRow, num_places

_BYTES_A_TOKEN = 4  # of English text with the tokenizers of OpenAI, by their documentation; others give 3 to 5
_NO_BREAK_SPACE = "\u00a0"


@dataclass(frozen=True)
class Tokens:
    """An estimate of the tokens of kept text."""

    number: int
    rule: str


def tokens(report: Report) -> Tokens:
    """`gristmill report TOKENIZER …` counts them exactly."""
    kept = report.funnel[-1].bytes if report.funnel and report.funnel[-1].bytes_are == "text" else 0
    return Tokens(kept // _BYTES_A_TOKEN, f"taking {_BYTES_A_TOKEN} bytes for one")


def findings(report: Report, recipe: Recipe) -> list[str]:
    """Sentences that the rest of the report proves."""
    num_input, kept = report.documents.input, report.documents.kept
    if not num_input:
        return ["The input holds no document."]
    lines = []
    losses, before = [], num_input
    for stage in report.funnel:
        losses.append((before - stage.documents, stage.stage))
        before = stage.documents
    most, name = max(losses, key=lambda loss: loss[0], default=(0, ""))
    if most:
        lines.append(
            f"The stage that drops most is {name}: {counted(most, 'document')}, "
            f"{_percent(most / num_input)} of the input."
        )
    deciding = max(_rules_beside_others(report, recipe), key=lambda row: row.alone, default=None)
    if deciding is not None and deciding.alone:
        lines.append(
            f"Of the rules that measure text, {deciding.reason} decides most on its own: "
            f"{counted(deciding.alone, 'document')} fail{'s' * (deciding.alone == 1)} it and no other rule."
        )
    if report.languages:
        identified = sum(row.documents for row in report.languages)
        first = (f"{row.language} {_percent(row.documents / identified, 0)}" for row in report.languages[:3])
        lines.append(f"Of the documents whose language was identified: {', '.join(first)}.")
    if report.duplicates.stages:
        removed = sum(stage.removed for stage in report.duplicates.stages)
        part = _percent(share(removed, kept + removed), 2)
        lines.append(f"Duplicates: {counted(removed, 'document')}, {part} of those that no rule dropped.")
    if report.alarms:
        alarms = counted(len(report.alarms), "alarm")
        lines.append(f"The run raised {alarms}: look at them before using the shards.")
    lines += [sentence(audit) + "." for audit in report.guesses]
    if report.damage:
        lines.append(f"{counted(num_places(report.damage), 'place')} of the input could not be read.")
    return lines


def _percent(part: float | None, digits: int = 1) -> str:
    """A percentage that no line break parts from its sign."""
    return percent(part, digits).replace(" ", _NO_BREAK_SPACE)


def _rules_beside_others(report: Report, recipe: Recipe) -> list[RuleRow]:
    """Rules on metrics, but for stages that stop: later stages do not measure what they drop, so they are alone."""
    stopping = {stage.name for stage in recipe.local_stages() if stage.stops}
    return [row for row in report.rules if row.metric is not None and row.stage not in stopping]
