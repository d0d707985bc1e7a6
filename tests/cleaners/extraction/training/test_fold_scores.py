"""What a choice of blocks loses F1 by, and the file of scores beside a model."""

import json
from pathlib import Path

import numpy as np
import pytest

from cleaners.extraction.training.fit import LabelledPage, PreparedPage, prepare
from cleaners.extraction.training.fold_scores import (
    REASONS,
    FoldScore,
    fold_scores,
    fold_summary,
    page_digest,
    read_fold_scores,
    text_of,
    write_fold_scores,
)
from cleaners.extraction.training.labels import block_texts
from cleaners.extraction.training.score import f1
from shards.errors import UserError

STORY = "The mill stands by the river and it grinds the corn of the valley."
MORE = "Nobody remembers who built its wheel or when the last miller left."
PARTS = {
    "comments": "<div class=comments><p>Lovely wheel you have there, greetings from Hanna.</div>",
    "hidden": "<div hidden><p>Subscribe today, then read whatever you want.</div>",
    "links": "<ul><li><a href=/a>Ferry timetables, autumn edition</a></ul>",
    "other": "<p>Elsewhere: bakers strike over flour prices again.",
}


def prepared(
    html: str, text: str, *, url: str = "https://a.example/", weight: float = 1.0, language: str = ""
) -> PreparedPage:
    return prepare(LabelledPage(url, "a.example", html.encode(), text, "article", "made", weight, language))


def scored(html: str, text: str, kept: set[str]) -> FoldScore:
    """The score of choosing the blocks that begin with one of these words."""
    page = prepared(html, text)
    lines = block_texts(page.labelled.html, page.page)
    chosen = np.array([line.split()[0] in kept for line in lines])
    (score,) = fold_scores([page], [chosen])
    return score


def parts(score: FoldScore) -> dict[str, float]:
    return {reason: loss for reason, loss in zip(REASONS, score.losses, strict=True) if loss}


@pytest.mark.parametrize("reason", PARTS)
def test_words_in_vain_are_lost_to_the_block_that_holds_them(reason: str) -> None:
    html = f"<article><p>{STORY}</p></article>" + "".join(PARTS.values())
    first = {"comments": "Lovely", "hidden": "Subscribe", "links": "Ferry", "other": "Elsewhere:"}[reason]
    score = scored(html, STORY, {"The", first})
    assert score.page.overlap is not None
    assert parts(score) == {reason: pytest.approx(1 - score.page.overlap.f1)}
    assert 0.5 < score.page.overlap.f1 < 0.9


def test_missing_words_are_lost_in_blocks_or_absent() -> None:
    html = f"<p>{STORY}</p><p>{MORE}</p>"
    assert parts(scored(html, f"{STORY}\n{MORE}", {"The"})).keys() == {"lost"}
    assert parts(scored(html, f"{STORY}\nWords that stand upon another leaf", {"The"})).keys() == {"absent"}
    assert parts(scored(html, f"{STORY}\n{MORE}", {"The", "Nobody"})) == {}
    assert parts(scored(html, STORY, set())) == {"lost": 1}
    assert parts(scored(html, "", {"The"})) == {"other": 1}
    assert parts(scored(html, "", set())) == {}


def test_losses_add_up_to_what_f1_lacks() -> None:
    html = "".join(PARTS.values()) + f"<p>{STORY}</p><p>{MORE}</p>"
    score = scored(html, f"{STORY}\n{MORE}\nAnother leaf", {"The", "Lovely", "Ferry", "Elsewhere:"})
    assert score.page.overlap is not None
    assert parts(score).keys() == {"comments", "links", "other", "lost", "absent"}
    assert sum(score.losses) == pytest.approx(1 - score.page.overlap.f1)


def test_the_text_is_scored_as_it_is_written() -> None:
    page = prepared("<ul><li>3 1<sup>2</sup> apples</ul><table><tr><td>a<td>b<tr><td>c<td>d</table>", "")
    assert text_of(page, np.ones(len(page.page.blocks), bool)) == "- 3 1^2 apples\na | b\nc | d"


def test_chinese_is_scored_over_characters() -> None:
    page = prepared("<p>水车在河边。", "水车在河边磨谷", language="zh")
    (score,) = fold_scores([page], [np.array([True])])
    assert score.page.overlap is not None
    assert score.page.overlap.f1 == pytest.approx(2 * 5 / 12) == f1("水车在河边。", "水车在河边磨谷", "zh")


def test_pages_not_labelled_by_hand_are_not_scored() -> None:
    assert fold_scores([prepared("<p>x", "x", weight=0.4)], [np.array([True])]) == []
    assert fold_summary([])["f1_across_folds"] is None


def test_the_summary_has_groups_losses_and_the_worst_pages_of_each_reason() -> None:
    html = f"<p>{STORY}</p>{PARTS['comments']}"
    pages = [prepared(html, STORY, url=f"https://{n}.example/") for n in "ab"]
    card = fold_summary(fold_scores(pages, [np.array([True, n == 1]) for n in range(2)]))
    json.dumps(card)
    bad = 1 - 2 * card["loss"]["comments"]
    assert card["f1_across_folds"] == pytest.approx((1 + bad) / 2, abs=1e-3)
    assert card["by_set"] == {"made": {"pages": 2, "f1": card["f1_across_folds"]}}
    assert card["by_language"] == {}
    assert card["by_length"] == {"under 100 words": card["by_set"]["made"]}
    assert card["cells"] == [
        {"set": "made", "language": "", "type": "article", "label": "under 100 words"} | card["by_set"]["made"]
    ]
    assert card["loss_by_set"]["made"] == card["loss"]
    assert [page["url"] for page in card["worst"]["comments"]] == ["https://b.example/"]
    assert card["worst"]["lost"] == []


def test_scores_of_pages_are_read_as_they_were_written(tmp_path: Path) -> None:
    model = tmp_path / "gristmill-1-00000000.npz"
    assert read_fold_scores(model) == {}
    score = scored(f"<p>{STORY}", f"{STORY}\nAnother leaf", {"The"})
    path = write_fold_scores(model, [score])
    before = path.read_bytes()
    assert score.page.overlap is not None
    assert read_fold_scores(model) == {page_digest("https://a.example/"): score.page.overlap}
    assert write_fold_scores(model, [score]).read_bytes() == before
    path.write_bytes(before[:-9])
    with pytest.raises(UserError, match=r"folds\.jsonl\.gz: holds no scores of pages"):
        read_fold_scores(model)
