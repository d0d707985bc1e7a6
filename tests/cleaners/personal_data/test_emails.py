"""E-mail addresses of all scripts, and what only looks like one."""

import pytest
from stage_cases import texts

from cleaners.pii import PiiConfig

HERE = "[E]"


def replaced(text: str) -> str:
    config = PiiConfig(name="pii", email_replacements=(HERE,))
    return config.build()(texts("x", text))["text"][1].as_py()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Write to josé.garcía@correo.es.", "Write to [E]."),
        ("jörg@müller-site.de", HERE),
        ("élan@site.org", HERE),
        ("e\u0301lan@site.org", HERE),
        ("Пишите: иван@почта.рф!", "Пишите: [E]!"),
        ("иван.петров@mail.ru", HERE),
        ("ivan@xn--80a1acny.xn--p1ai", HERE),
        ("联系人：用户@例子.公司。", "联系人：[E]。"),
        ("用户@例子.公司欢迎你", "[E]欢迎你"),
        ("邮箱abc_1@qq.com欢迎", "邮箱[E]欢迎"),
        ("почтаivan@mail.ru", "почта[E]"),
        ("παράδειγμα@ελληνικά.ελ", HERE),
        ("उपयोगकर्ता@उदाहरण.भारत", HERE),
        ("li＠site-b.cn", HERE),
        ("邮箱：ｌｉ＿１＠ｓｉｔｅ－ｂ．ｃｎ，", "邮箱：[E]，"),
        ("anna@163.com, bob@21cn.com", "[E], [E]"),
        ("anna@site.orgPhone: 1", "[E]Phone: 1"),
        ("anna@site.org.Write soon", "[E].Write soon"),
        ("mailto:anna@site.org?subject=x", "mailto:[E]?subject=x"),
        ("MAILTO://anna@site.org", "MAILTO:[E]"),
        ("john.smith@contoso.local", HERE),
        ("anna@site.org:8080", "[E]:8080"),
        ("https://x.org/?to=1 anna@site.org", "https://x.org/?to=1 [E]"),
        ("a@b.cd@e.fg", "[E]@e.fg"),
        (f"{'a' * 64}@site.org", HERE),
    ],
)
def test_addresses_are_found(text: str, wanted: str) -> None:
    assert replaced(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "logo@2x.png icon@3x.webp sprite@1.5x.min.css photo@2x.com",
        "pack@1.0.0.tgz react@18.2.0 lodash@4.17.21.zip mod@v1.2.3-pre.dev archive@2.zip",
        "golang.org/x/tools@v0.1.0",
        "org.apache:lib:1.2.3@aar",
        "name@string.service, digest@abc.def.txt",
        "git clone git@github.com:org/repo.git",
        "ssh://git@gitlab.site.org/org/repo.git",
        "https://user:secret@host.site.org:8080/path",
        "ftp://anonymous@ftp.site.org",
        "scp a.txt me@host.site.org:/tmp/a",
        "ssh -p 22 me@host.site.org",
        "rsync -av me@host.site.org:",
        "me@host.site.org:~/notes/a.txt",
        "follow me:@john.doe or @john.doe or @ john.doe",
        "感谢@user.name的支持",
        "联系我们@qq.com",
        "me@shop.example.com, you@localhost.localhost, a@b.invalid",
        f"{'a' * 65}@site.org",
        "a@b a@.com a@b..com @ ＠ @@ a@-b.com",
    ],
)
def test_what_is_no_address_of_a_person_stays(text: str) -> None:
    assert replaced(text) == text


@pytest.mark.parametrize("piece", ["@", "a@", "я@", "中@", "a@b.", "я.", "中", "＠", "-", "a@b@"])
def test_a_long_line_of_any_piece_is_searched_in_linear_time_and_stays(piece: str) -> None:
    text = "@" + piece * (100_000 // len(piece))
    assert replaced(text) == text
