"""Lines of block lists as they are published."""

import pytest

from cleaners.assets.domain_lines import Entry, ascii_host, entries_of_line, host_of, path_of

BLOCKED = [
    "host.example",
    " HOST.example.\t",
    "*.host.example",
    ".host.example",
    "http://host.example/",
    "https://user@host.example:8080",
    "//host.example",
    "http://*.host.example/*",
    "host.example:8080",
    "host.example/",
    "host.example # since May",
    "host.example#since May",
    "127.0.0.1 host.example",
    "0.0.0.0\thost.example # ads",
    "0.0.0.0   HOST.example.",
    "::1 host.example",
    ":: host.example",
    "||host.example^",
    "||host.example",
    "|http://host.example/|",
    "||*.host.example^",
    "||host.example:8080^",
    "||host.example^$important",
    "||host.example^$document,important",
    "||host.example^$all",
    "address=/host.example/0.0.0.0",
    "address=/host.example/#",
    "address=/host.example/",
    "local=/host.example/",
    "server=/host.example/",
    "host.example CNAME .",
    "*.host.example. 3600 IN CNAME .",
    "domain:host.example",
    "full:HOST.example",
    "domain:host.example:@ads,@cn",
    "full:host.example @ads",
    "http://host.example:/",
    "host.example:*",
]


@pytest.mark.parametrize("line", BLOCKED)
def test_a_line_of_any_format_names_its_host(line: str) -> None:
    assert entries_of_line(line) == (Entry("host.example", ""),)


@pytest.mark.parametrize("line", ["пример.рф", "||ПРИМЕР.рф^", "0.0.0.0 xn--e1afmkfd.xn--p1ai", "http://пример.рф./"])
def test_international_hosts_are_named_in_ascii_form(line: str) -> None:
    assert entries_of_line(line) == (Entry("xn--e1afmkfd.xn--p1ai", ""),)


def test_a_line_may_name_several_hosts() -> None:
    two = (Entry("a.example", ""), Entry("b.example", ""))
    assert entries_of_line("0.0.0.0 a.example b.example") == two
    assert entries_of_line("address=/a.example/b.example/0.0.0.0") == two


@pytest.mark.parametrize(
    "line", ["host.example/ads/", "http://host.example:80/ads/", "||host.example/ads/^", "||host.example/ads/"]
)
def test_a_path_is_no_whole_host(line: str) -> None:
    assert entries_of_line(line) == (Entry("host.example", "/ads/"),)


@pytest.mark.parametrize(
    "line", ["", "  ", "# a", "! a", "!a.example", "; a", "[Adblock Plus 2.0]", "#a.example", "## a"]
)
def test_comments_name_nothing(line: str) -> None:
    assert entries_of_line(line) == ()


@pytest.mark.parametrize(
    "line", ["127.0.0.1 localhost", "::1 ip6-loopback", "fe80::1%lo0 localhost", "ff02::1 ip6-allnodes"]
)
def test_names_of_the_machine_itself_are_no_odd_lines(line: str) -> None:
    assert entries_of_line(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        "@@||host.example^",
        "2001:db8::1",
        "2001:1:2:3:4:5:6:7",
        "0.0.0.0 2001:db8::1",
        "||2001:db8::1^",
        "host.example:",
        "host.example:ads",
        "host.example:80ads/",
        "site:host.example",
        "keyword:ads",
        "regexp:^ads[0-9]+/",
        "domain:",
        "domain:2001:db8::1",
        "||host.example^$third-party",
        "||host.example^$script,domain=a.example",
        "||host.example^$document,third-party",
        "host.example##.banner",
        "host.example#@#.banner",
        "host.example#?#.banner",
        "##.banner",
        "/ad[0-9]/",
        "&ad_box_",
        "||ads.*.example^",
        "a b.example",
        "host.example,other.example",
        "1,host.example",
        "192.168.1.1 host.example",
        "10.0.0.0/8",
        "http://",
        "*",
        ".",
        "\x00",
    ],
)  # fmt: skip
def test_what_blocks_no_page_is_told_apart(line: str) -> None:
    assert entries_of_line(line) == (() if line.startswith("##") else None)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://a.example", "/"),
        ("http://a.example:80", "/"),
        ("http://a.example:80/x?y#z", "/x?y#z"),
        ("http://a.example?x=/y", "/?x=/y"),
        ("a.example/x", "/"),
    ],
)
def test_path_of(url: str, path: str) -> None:
    assert path_of(url) == path


def test_a_host_with_escapes_and_capitals_is_plain() -> None:
    assert host_of("http://EX%61mple.com./") == ascii_host("ex%61mple.COM.") == "example.com"
