"""The page of a training: whole without a network, read again while it runs, foreign text escaped."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from training_folder import START, make_training, write_lines

from pipelines.report.training.render import write_training_report
from shards.lock import locked
from shards.tokens import Provenance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training that was started twice, had a spike and wrote texts."""
    folder = make_training(tmp_path / "mill & co")
    write_lines(folder / "starts.jsonl", [START, START | {"step": 120, "started": "2024-05-02T10:00:00+00:00"}])
    spike = {
        "url": "https://noise.example/<1>",
        "loss": 9.25,
        "excess": 1200.0,
        "ledger": {"words": 55},
        "bucket": "low",
    }
    write_lines(folder / "spikes" / "step-00000150.jsonl", [spike])
    texts = [{"step": step, "prompt": "The", "sample": f" <mill> {step}\x07", "seed": 0} for step in (100, 200)]
    write_lines(folder / "samples.jsonl", texts)
    return folder


def page_of(folder: Path) -> str:
    path = write_training_report(folder)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


class _Checked(HTMLParser):
    """Counts elements, and has each closed that must be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_everything_that_the_folder_has(folder: Path) -> None:
    page = page_of(folder)
    checked = _Checked()
    checked.feed(page)
    assert checked.open == []
    charts = re.findall(r'<svg class="chart"[^>]*><title>([^<]+) by step</title>', page)
    assert charts == [
        "training loss", "Loss by source", "held-out bits per byte", "Learning rate", "Gradient norm",
        "Tokens a second", "TFLOP/s", "Share of a matrix product", "Data wait", "Memory",
    ]  # fmt: skip
    assert "https://noise.example/&lt;1&gt;" in page
    assert "9.2500" in page
    assert " &lt;mill&gt; 200␇" in page
    assert page.index("&lt;mill&gt; 200") < page.index("&lt;mill&gt; 100"), "the newest first"
    assert page.count('class="mark spike"') == page.count('class="mark start"') == len(charts)
    assert "2024-05-02 10:00:00" in page
    assert "<code>model.width</code>" in page
    assert "mill &amp; co" in page
    assert "<td>4.0000</td><td>1.5000</td><td>1.7500</td>" in page, "first, best and last bits per byte"


def test_the_page_asks_the_network_for_nothing(folder: Path) -> None:
    page = page_of(folder)
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link|img|iframe|object)\b|url\(|@import", page)


def test_the_page_of_a_running_training_is_read_again_and_that_of_another_is_not(folder: Path) -> None:
    refresh = '<meta http-equiv="refresh"'
    assert refresh not in page_of(folder)
    with locked(folder):
        running = page_of(folder)
    assert refresh in running
    assert ">running</span>" in running
    assert ">stopped</span>" in page_of(folder)


def test_a_training_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    page = page_of(make_training(tmp_path / "m", num_steps=0))
    assert "No step is done yet." in page


def test_records_that_lack_what_others_have_leave_the_page_whole(folder: Path) -> None:
    write_lines(folder / "starts.jsonl", [{"step": 0}, {"step": 5, "started": "yesterday"}])
    write_lines(folder / "samples.jsonl", [{"step": 1}, {"step": 2, "sample": "text"}])
    write_lines(folder / "held_out.jsonl", [{"step": 1}, {"step": 2, "held_out_bits_per_byte": {"en": None}}])
    write_lines(folder / "spikes" / "step-00000150.jsonl", [{}, {"loss": None, "url": None}])
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 900, "loss": null, "lr": true, "loss_by_source": 3}\n')
    page = page_of(folder)
    assert "step 900 of 400" in page
    assert "text</div>" in page


def test_the_documents_that_a_training_writes_of_a_spike_are_shown(folder: Path) -> None:
    pytest.importorskip("torch")
    from pretrain.worst_documents import DocumentLoss, write_worst

    origins = [
        Provenance("ab" * 16, f"https://mill.example/{i}", "web", "low", "web-00000", i, "", -1) for i in range(2)
    ]
    losses = (float("nan"), 12.5)
    write_worst(folder, 220, [DocumentLoss(i, "web", 0, origins[i], 1, 5, 4, losses[i]) for i in range(2)])
    page = page_of(folder)
    assert "Step 220" in page
    assert page.index("https://mill.example/0") < page.index("https://mill.example/1"), "what is not finite comes first"
    assert "12.5000" in page


@pytest.mark.slow
def test_the_page_of_a_long_training_is_no_larger(tmp_path: Path) -> None:
    short, long = (len(page_of(make_training(tmp_path / str(n), n))) for n in (1000, 20_000))
    assert long < 2 * short < 4_000_000


def test_the_figures_for_programs_are_those_of_the_page(folder: Path) -> None:
    page_of(folder)
    figures = json.loads((folder / "report.json").read_bytes())
    assert (figures["steps"], figures["steps_planned"], figures["tokens"]) == (300, 400, 300_000)
    assert figures["held_out_bits_per_byte"] == {"<web>": 1.75}
    assert figures["loss_by_source"]["books"] == pytest.approx(figures["loss_by_source"]["<web>"] + 1)
    assert (figures["starts"], figures["spikes"]) == ([0, 120], [150])
    assert figures["loss_smoothed"] == pytest.approx(1 + 4 / 300**0.5, rel=0.01)
