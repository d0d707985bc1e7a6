"""Formulas in MathML, TeX beside them, and raised numbers."""

from pathlib import Path

import pytest
from case_run import copy_case, run_case

LINES = {
    "half": "One 1/2 of the way.",
    "hours": "It took 3 3/4 hours.",
    "million": "There are 10^6 grains.",
    "small": "first | 3×10^-9",
    "roots": "The side is √2 metres and 8^(1/3) is two.",
    "matrix": "Let (1 0; 0 1) be the matrix.",
    "katex": r"The way is \frac12 here.",
    "wiki": r"The way is s={\frac {1}{2}}gt^{2} here.",
    "sup": "There are 10^6 grains on an area of 3^4 m^2, see the 2nd edition, H2O, footnote[3].",
}


def test_numbers_keep_their_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy_case("15", tmp_path))
    lines = {url.rsplit("/", 1)[1]: text.splitlines() for url, text in run_case(tmp_path).texts().items()}
    assert lines.keys() == LINES.keys()
    for name, line in LINES.items():
        assert line in lines[name]
