import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.assets import domains
from cleaners.assets.domains import Domains, ascii_host, host_of

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
def test_the_kernel_reads_the_entries_that_plain_python_reads(text: str) -> None:
    wanted = plain_entries(text)
    domain_set = Domains(io.BytesIO(text.encode("utf-8", "replace")))
    hosts = sorted(wanted) or ["a"]
    assert domain_set.cover(hosts).tolist() == [host in wanted for host in hosts]
    assert len(set(domain_set._hashes.tolist())) == len(wanted)


@pytest.mark.parametrize("piece", [1, 5, 64])
def test_lines_are_whole_in_pieces_of_any_size(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"host{i}.example" for i in range(300)]
    monkeypatch.setattr(domains, "_PIECE", piece)
    domain_set = Domains(io.BytesIO("\n".join(names).encode()))
    assert domain_set.cover(names).all()
    assert len(domain_set._hashes) == 300
    assert not domain_set.cover([f"host{i}.example" for i in range(300, 600)]).any()


def test_hosts_that_no_list_can_hold_are_not_covered() -> None:
    domain_set = Domains(io.BytesIO(b"a.example\n"))
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
    assert domain_set.cover(hosts).tolist() == [False, False, True, False, False, True, False, True, True]
    assert Domains(io.BytesIO(b"")).cover(hosts).any() == False  # noqa: E712  a numpy bool
    assert domain_set.cover([]).tolist() == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Example.COM/path", "example.com"),
        ("https://user:pass@example.com:8443/x", "example.com"),
        ("//example.com./", "example.com"),
        ("http://example.com?q=http://other.example", "example.com"),
        ("http://example.com\\@other.example/", "example.com"),
        ("http://ex%61mple.com/", "example.com"),
        ("http://[2001:DB8::1]:80/", "[2001:db8::1]"),
        ("http://пример.рф/", "xn--e1afmkfd.xn--p1ai"),
        ("http://xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai"),
        ("http://" + "ü" * 70 + ".example/", "ü" * 70 + ".example"),  # no host can be that long
        ("example.com/path", ""),
        ("mailto:a@example.com", ""),
        ("", ""),
    ],
)
def test_host_of(url: str, host: str) -> None:
    assert host_of(url) == host


@given(
    st.lists(st.from_regex(r"[ab](\.[ab]){0,3}", fullmatch=True)),
    st.lists(st.from_regex(r"([ab]\.){0,4}[ab]", fullmatch=True)),
)
def test_domains_cover_the_hosts_that_a_set_of_suffixes_covers(domains: list[str], hosts: list[str]) -> None:
    expected = [any(host == domain or host.endswith(f".{domain}") for domain in domains) for host in hosts]
    assert Domains(io.BytesIO("\n".join(domains).encode())).cover(hosts).tolist() == expected
