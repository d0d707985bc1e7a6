"""The engines that ours is compared with, in their processes and by their cache."""

from pathlib import Path

import pytest
from crawl import SENTENCES, article

from benchmarks.peer_engines import PYTHONS, PeerEngine
from benchmarks.rows import PEERS
from cleaners.extraction.training.pages import TruthPage

PAGE = TruthPage("https://a.example/1", article("One"), {"language": "en"})


def test_a_text_is_taken_from_the_cache_and_a_line_that_was_cut_is_made_again(tmp_path: Path) -> None:
    engine = PeerEngine("resiliparse", tmp_path)
    text = engine.text(PAGE)
    assert SENTENCES[0] in text
    assert engine.seconds(PAGE) > 0
    engine.close()
    (cache,) = tmp_path.iterdir()
    assert engine.version is not None
    assert engine.version in cache.name
    whole = cache.read_text()
    cache.write_text(whole.replace("One", "Another"))
    assert PeerEngine("resiliparse", tmp_path).text(PAGE) == text.replace("One", "Another"), "the cache is believed"
    cache.write_text(whole[:-5])
    again = PeerEngine("resiliparse", tmp_path)
    assert again.text(PAGE) == text
    again.close()
    assert cache.read_text() == whole[:-5] + whole


def test_an_engine_that_is_not_installed_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PYTHONS, "jusText", tmp_path / "none" / "python")
    assert PeerEngine("jusText", tmp_path).version is None


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="the peers are not installed; `make bench-peers` installs them")
@pytest.mark.parametrize("name", PYTHONS)
def test_every_engine_finds_the_text_of_an_article(name: str, tmp_path: Path) -> None:
    engine = PeerEngine(name, tmp_path)
    assert SENTENCES[0] in engine.text(PAGE)
    engine.close()
