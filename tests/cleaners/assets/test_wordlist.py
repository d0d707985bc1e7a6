import re
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.assets.wordlist import WordFinder
from tests.cleaners.kernels.test_sentences import some_line


@given(st.lists(st.sampled_from(["ab", "ab cd", "cd", "$x", "坏", "🖕", "a.b"]), max_size=4), some_line)
def test_words_are_found_as_by_a_pattern_for_each(entries: list[str], line: str) -> None:
    text = f"{line} AB,cd {line} 坏 ab cd $x🖕 a.b"
    count = 0
    for entry in set(entries):
        anywhere = entry in ("坏", "🖕")
        pattern = re.escape(entry) if anywhere else rf"(?<!\w){re.escape(entry)}(?!\w)"
        if not (entry == "ab" and "ab cd" in entries):  # the longest match counts
            count += len(re.findall(pattern, text.lower()))
        else:
            count += len(re.findall(r"(?<!\w)ab(?! cd(?!\w))(?!\w)", text.lower()))
    assert WordFinder(entries).count(text) == count


@pytest.mark.real
def test_published_bad_words_are_found(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "lists/ldnoobw.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    for language, text in (("en", "He is a bastard."), ("zh", "他看三级片。"), ("ru", "Какая блядь!")):
        entries = (tmp_path / "ldnoobw" / language).read_text(encoding="utf-8").split("\n")
        assert WordFinder([entry for entry in entries if entry]).count(text) == 1
