import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.assets import domains
from cleaners.assets.domain_lines import Entry, entries_of_line, host_of
from cleaners.assets.domains import Domains

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
    "0.0.0.0 ",
    "127.0.0.1\t",
    "||",
    "^",
    "##",
    "*.",
    "/x",
    "! ",
]


def plain_entries(text: str) -> list[tuple[Entry, ...] | None]:
    return [entries_of_line(line) for part in text.split("\n") for line in part.splitlines()]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40))
def test_the_kernel_reads_the_entries_that_plain_python_reads(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    lines = plain_entries(text)
    wanted = [entry for line in lines for entry in line or ()]
    hosts = {host for host, path in wanted if not path}
    domain_set = Domains(io.BytesIO(text.encode()))
    assert domain_set.cover(sorted(hosts)).all()
    assert len(set(domain_set._hashes.tolist())) == len(hosts)
    assert domain_set.lines.num_odd == lines.count(None)
    assert sorted(path for paths in domain_set.lines.paths.values() for path in paths) == sorted(
        path for _, path in wanted if path
    )


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


def test_odd_lines_are_counted_and_the_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"a.example\n||b.example^\n@@||c.example^\n0.0.0.0 d.example\n\n/ad/\n# e\n"
    for piece in (1, 7, 1 << 20):
        monkeypatch.setattr(domains, "_PIECE", piece)
        domain_set = Domains(io.BytesIO(text))
        assert (domain_set.lines.num_odd, domain_set.lines.first_odd) == (2, (3, "@@||c.example^"))
        assert domain_set.cover(["a.example", "b.example", "c.example", "d.example"]).tolist() == [True] * 2 + [
            False,
            True,
        ]
        assert domain_set.num_hosts == 3


def test_a_path_blocks_the_pages_below_it() -> None:
    domain_set = Domains(io.BytesIO(b"a.example/ads/\nb.example/x\nc.example\n"))
    urls = {
        "http://a.example/ads/1": True,
        "http://www.a.example:80/ads/": True,
        "http://a.example/ads": False,
        "http://a.example/": False,
        "http://b.example/x?y": True,
        "http://b.example/x/y": True,
        "http://b.example/xy": False,
        "http://c.example/z": True,
        "": False,
    }
    assert domain_set.cover_urls(list(urls), [host_of(url) for url in urls]).tolist() == list(urls.values())


def test_plain_hosts_and_hosts_files_make_no_python_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domains, "entries_of_line", None)
    forms = (b"host%d.example\n", b"0.0.0.0 host%d.example # ads\r\n", b"127.0.0.1\thost%d.example\n")
    text = b"# a list\n" + b"".join(forms[k % 3] % k for k in range(300))
    domain_set = Domains(io.BytesIO(text))
    assert domain_set.cover([f"a.host{k}.example" for k in range(300)]).all()
    assert (domain_set.num_hosts, domain_set.lines.num_odd) == (300, 0)
