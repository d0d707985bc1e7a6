"""Public addresses are found; versions, places in documents, identifiers and times are none."""

import pytest
from stage_cases import texts

from cleaners.pii import PiiConfig

HERE = "[A]"


def replaced(text: str) -> str:
    config = PiiConfig(name="pii", ipv4_replacements=(HERE,), ipv6_replacements=(HERE,))
    return config.build()(texts("version", text))["text"][1].as_py()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The server is 93.184.216.34.", "The server is [A]."),
        ("http://8.8.8.8/path", "http://[A]/path"),
        ("8.8.8.8:53 and 8.8.8.0/24", "[A]:53 and [A]/24"),
        ("the server 8.8.8.8, 8.8.4.4 and 1.1.1.1", "the server [A], [A] and [A]"),
        ("服务器8.8.8.8，地址：1.2.4.8", "服务器[A]，地址：[A]"),
        ("адрес 8.8.8.8, сервер 77.88.8.8", "адрес [A], сервер [A]"),
        ("Version 2 runs on host 8.8.8.8", "Version 2 runs on host [A]"),
        ("since version 1.2.3.4 the DNS is 8.8.8.8", "since version 1.2.3.4 the DNS is [A]"),
        ("8.8.8.8 - - [10/Oct/2000:13:55:36]", "[A] - - [10/Oct/2000:13:55:36]"),
        ("ip-8.8.8.8 node_8.8.8.8", "ip-[A] node_[A]"),
        ("whois.site.org/8.8.8.8", "whois.site.org/[A]"),
        ("device 8.8.8.8", "device [A]"),
        ("[2001:4860:4860::8888]:443", "[[A]]:443"),
        ("2a00:1450:4001:82a:0:0:0:200E", HERE),
    ],
)
def test_addresses_are_found(text: str, wanted: str) -> None:
    assert replaced(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "version 8.8.8.8 (v. 8.8.8.8), Rev. 8.8.8.8; release: 8.8.8.8, build #8.8.8.8",
        "Versions 1.2.3.4, 1.2.3.5 and 1.2.3.6 – 1.2.3.7",
        "Upgrade to 4.15.0.20 or later; in the 4.15.0.20 release and 4.15.0.20-generic",
        "Since version 4.15.0.20 all is well, and 4.16.0.1 mends the rest",
        "Chrome/120.0.0.0 Safari/8.8.8.8",
        "libfoo-8.8.8.8.so, foo_8.8.8.8.tar.gz, x==8.8.8.8, y>=8.8.8.8",
        "§ 3.1.2.1, Section\u00a07.8.2.1, table 8.2.1.4, Fig. 8.2.1.4",
        "3.1.2 Scope\nof the text\n3.1.2.1 Terms\n3.1.2.2 Rules",
        "раздел 3.1.2.1, пункты 4.1.2.3, 4.1.2.4, п. 3.1.2.1 и версия 8.8.8.8, сборка № 8.8.8.8",
        "Abschnitt 3.1.2.1, Kapitel 3.1.2.2",
        "版本号为1.2.3.4，固件4.15.0.20已发布，见第3.1.2.1节、表8.2.1.4，8.8.8.8版",
        "OID 1.3.6.1, or 1.3.6.1 alone; 1.3.6.1.4.1 is longer",
        "2024:10:12:9:30:0:0:1 and 2024:10:12",
    ],
)
def test_what_is_no_address_stays(text: str) -> None:
    assert replaced(text) == text


def test_what_stands_in_the_row_before_does_not_count() -> None:
    assert replaced("8.8.8.8") == HERE


def test_many_numbers_are_judged_in_linear_time() -> None:
    assert replaced("version " + "1.2.3.4, " * 5_000).startswith("version " + "1.2.3.4, " * 10)
