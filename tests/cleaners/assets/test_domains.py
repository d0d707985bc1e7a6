import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.assets import domains
from cleaners.assets.domains import Domains, ascii_host

PIECES = [
    "a",
    "b.c",
    "A.b",
    ".",
    " ",
    "\t",
    "#",
    "\n",
    "\r\n",
    "\r",
    "плохой.рф",
    "%61",
    "\x0b",
    "x" * 9,
    "\x7f",
    "\x00",
]


def plain_entries(text: str) -> set[str]:
    """As `wordlist.entries` reads them, in ASCII form."""
    lines = (line.partition("#")[0].strip().lower() for line in text.splitlines())
    return {ascii_host(line) for line in lines if line} - {""}


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40))
def test_the_kernel_takes_the_entries_that_plain_python_takes(text: str) -> None:
    wanted = plain_entries(text)
    found = Domains(io.BytesIO(text.encode("utf-8", "replace")))
    hosts = sorted(wanted) or ["a"]
    assert found.cover(hosts).tolist() == [host in wanted for host in hosts]
    assert len(set(found._hashes.tolist())) == len(wanted)


@pytest.mark.parametrize("piece", [1, 5, 64])
def test_lines_are_whole_wherever_the_file_is_cut_into_pieces(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"host{i}.example" for i in range(300)]
    monkeypatch.setattr(domains, "_PIECE", piece)
    found = Domains(io.BytesIO("\n".join(names).encode()))
    assert found.cover(names).all()
    assert len(found._hashes) == 300
    assert not found.cover([f"host{i}.example" for i in range(300, 600)]).any()


def test_hosts_that_no_list_can_hold_are_not_covered() -> None:
    found = Domains(io.BytesIO(b"a.example\n"))
    hosts = [
        "",
        "example",
        "x.a.example",
        "xa.example",
        "a..example",
        ".a.example",
        "a.example.",
        "\ud800.a.example",
        "ä.a.example",
    ]
    assert found.cover(hosts).tolist() == [False, False, True, False, False, True, False, True, True]
    assert Domains(io.BytesIO(b"")).cover(hosts).any() == False  # noqa: E712  a numpy bool
    assert found.cover([]).tolist() == []
