import json
import math
from pathlib import Path

import pytest
from crawl import RECIPE, SENTENCES, Crawl, article
from hypothesis import given
from hypothesis import strategies as st

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.recipe import load_recipe
from pipelines.report.audit import sentence, wilson
from pipelines.report.build import write_report
from pipelines.report.model import GuessAudit
from pipelines.run.opening import open_run

GERMAN = ("Die Mühle mahlt langsam, aber sie mahlt sehr fein, und das Mehl wird auf dem Markt verkauft.",) * 8


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (5, 10, 0.23659, 0.76341)],
)
def test_wilsons_interval_is_that_of_the_tables(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 5000), st.data())
def test_both_ends_of_the_interval_are_as_many_standard_deviations_away(trials: int, data: st.DataObject) -> None:
    """The score test that the interval inverts: |p - end| = z · sqrt(end (1 - end) / n)."""
    share = data.draw(st.integers(0, trials)) / trials
    for end in wilson(round(share * trials), trials):
        assert abs(share - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / trials), abs=1e-7)


def test_without_trials_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def run(folder: Path, audit_fraction: float) -> dict[str, object]:
    """A crawl of 40 English and 20 German pages; the recipe wants German before extraction and asks for no language
    later, so that every audited page is kept."""
    crawl = Crawl()
    for i in range(60):
        unlike = [f"{s} Number {i}, {i * i}, {i + 7}, {i ^ 5} of them all." for s in (SENTENCES if i < 40 else GERMAN)]
        crawl.page(f"https://a.example/{i}", article(f"Page {i}", unlike))
    crawl.write(folder / "in" / "a.warc.gz")
    guess = f'[[stage]]\nkind = "language_guess"\nlanguages = ["de"]\naudit_fraction = {audit_fraction}\n\n'
    extract, quality = (RECIPE.index(f'[[stage]]\nkind = "{kind}"') for kind in ("extract", "gopher_quality"))
    text = RECIPE[:extract] + guess + RECIPE[extract:quality]
    (folder / "recipe.toml").write_text(text)
    recipe = load_recipe(str(folder / "recipe.toml"), [f"source.paths={folder / 'in'}"])
    execute(open_run(recipe, folder / "run"), InProcess(), lambda _: None)
    found: dict[str, object] = json.loads((folder / "run" / "report.json").read_bytes())
    return found


@pytest.mark.usefixtures("language_model")
def test_the_report_tells_what_the_guess_cost(tmp_path: Path) -> None:
    found = run(tmp_path, 0.3)
    (entry,) = found["guesses"]  # type: ignore[misc]
    out, audited = entry["guessed_out"], entry["audited"]
    assert out + audited == 40
    assert 0 < audited < 40
    assert entry["audited_kept"] == audited  # no later stage minds English
    assert found["documents"] == {"input": 60, "kept": 60 - out}
    assert (entry["lost"], entry["lost_most"]) == (out, out)
    assert entry["lost_least"] == pytest.approx(out * wilson(audited, audited)[0], abs=0.1)
    assert entry["lost_share"] == pytest.approx(out / 60, abs=1e-6)
    page = write_report(tmp_path / "run").read_text()
    assert f"{out:,} pages guessed out; {audited} such were audited, {audited} of them kept" in page


@pytest.mark.usefixtures("language_model")
def test_without_an_audit_the_loss_is_said_to_be_unknown(tmp_path: Path) -> None:
    (entry,) = run(tmp_path, 0.0)["guesses"]  # type: ignore[misc]
    assert (entry["guessed_out"], entry["audited"], entry["lost"]) == (40, 0, None)
    assert "raise audit_fraction" in sentence(GuessAudit(**entry))
