"""docs/verbs.md names every key that a verb prints as JSON, and no other."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pipelines.ledger.values import RuleValue
from pipelines.preview.sample import Shown
from pipelines.replay.moved import Moved, MovedDocument
from pipelines.replay.replay import StageChange
from pipelines.replay.whatif import Forecast, RuleChange, Size
from pipelines.verbs.diff import Comparison, Example, FateChange
from pipelines.verbs.explain import Explanation
from pipelines.verbs.explain_duplicates import Related
from pipelines.verbs.life import Cut, Life, Masked, StageLife
from pipelines.verbs.pair_texts import PairedDocument, PairWithTexts
from pipelines.verbs.pairs import PAIRS

PAGE = Path(__file__).parents[3] / "docs" / "verbs.md"
# The objects of each verb, and keys that the command adds.
VERBS: dict[str, tuple[list[Any], set[str]]] = {
    "explain": ([Explanation, Life, StageLife, RuleValue, Cut, Masked, Related], set()),
    "whatif": ([Forecast, Size, RuleChange, StageChange, Moved, MovedDocument], {"forecasts"}),
    "diff": ([Comparison, FateChange, Example], set()),
    "pairs": ([PairWithTexts, PairedDocument], {"pairs", *PAIRS.names}),
    "sample": ([Shown, RuleValue], {"input", "kept", "dropped", "documents"}),
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_has_the_keys_of(verb: str) -> None:
    section = PAGE.read_text().split(f"\n## {verb}\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    kinds, more = VERBS[verb]
    assert named == {field.name for kind in kinds for field in fields(kind)} | more
