import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import texts
from word_oracle import any_text

from cleaners.pii import KINDS, PiiConfig
from shards.errors import UserError

CONFIG = PiiConfig(name="pii")
ALL = PiiConfig(name="pii", phones=("zh", "ru"), identity_numbers=("zh", "ru"))


def replaced(text: str, config: PiiConfig = CONFIG) -> str:
    return config.build()(texts(text))["text"][0].as_py()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Write to John.Doe+x@Mail.Example-Shop.co.uk.", "Write to email@example.com."),
        ("邮箱abc_1@qq.com，欢迎", "邮箱email@example.com，欢迎"),
        ("Почта: ivan@mail.ru!", "Почта: email@example.com!"),
        ("mail：a..b@c.de", "mail：email@example.com"),
        ("<a.b@c.de>", "<email@example.com>"),
        ("a@b.cd, e@f.gh; i@j.nl", "email@example.com, firstname.lastname@example.org; email@example.com"),
        ("an @handle and a@b are none", "an @handle and a@b are none"),
        ("me@localhost or you@shop.example.com", "me@localhost or you@shop.example.com"),
    ],
)
def test_emails(text: str, wanted: str) -> None:
    assert replaced(text) == wanted


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("8.8.8.8", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("192.168.1.1", "192.168.1.1"),
        ("172.16.0.1", "172.16.0.1"),
        ("172.32.0.1", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("169.254.1.1", "169.254.1.1"),
        ("198.51.100.7", "198.51.100.7"),
        ("256.8.8.8", "256.8.8.8"),
        ("8.8.8.8.8", "8.8.8.8.8"),
        ("v8.8.8.8", "v8.8.8.8"),
        ("08.8.8.8", "08.8.8.8"),
        ("2001:4860:4860::8888", "2001:db8::1"),
        ("2a00:1450:4001:82a:0:0:0:200E", "2001:db8::1"),
        ("2a00::", "2001:db8::1"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1", "fe80::1"),
        ("fd00::1", "fd00::1"),
        ("::1", "::1"),
        ("2024:10:12", "2024:10:12"),
        ("2024", "2024"),
    ],
)
def test_ip_addresses_where_they_are_public(address: str, wanted: str) -> None:
    for frame in ("{}", "at {}.", "({}):", "地址{}，", "[{}]"):
        assert replaced(frame.format(address)) == frame.format(wanted)


@pytest.mark.parametrize(
    ("country", "text", "wanted"),
    [
        ("zh", "电话13800138000。", "电话[PHONE]。"),
        ("zh", "+86 138-0013-8000", "[PHONE]"),
        ("zh", "010-62345678", "[PHONE]"),
        ("zh", "12800138000", "12800138000"),
        ("zh", "138001380001", "138001380001"),
        ("zh", "138-00138000", "138-00138000"),
        ("ru", "тел. +7 (495) 123-45-67,", "тел. [PHONE],"),
        ("ru", "8-916-123-45-67", "[PHONE]"),
        ("ru", "8 (800) 555 35 35", "[PHONE]"),
        ("ru", "+79161234567", "[PHONE]"),
        ("ru", "89161234567", "89161234567"),
        ("ru", "+7 (195) 123-45-67", "+7 (195) 123-45-67"),
    ],
)
def test_phones_of_the_countries_that_are_named(country: str, text: str, wanted: str) -> None:
    assert replaced(text, PiiConfig(name="pii", phones=(country,))) == wanted
    assert replaced(text) == text


@pytest.mark.parametrize(
    ("country", "number", "near"),
    [
        ("zh", "11010519491231002X", "110105194912310021"),
        ("zh", "440524188001010014", ""),  # born in 1880: the pattern begins with 1900
        ("ru", "112-233-445 95", "112-233-445 96"),
        ("ru", "500100732259", "500100732258"),
    ],
)
def test_identity_numbers_have_their_check_digits(country: str, number: str, near: str) -> None:
    config = PiiConfig(name="pii", identity_numbers=(country,))
    assert replaced(f"号{number}，", config) == ("号[ID]，" if near else f"号{number}，")
    assert replaced(f"号{near}，", config) == f"号{near}，"
    assert replaced(number) == number


@pytest.mark.parametrize("piece", ["-", "a.", "a@", "1.", "2a00:", "1-", "8 "])
def test_a_megabyte_of_any_piece_is_searched_quickly_and_stays(piece: str) -> None:
    text = "@" + piece * (1_000_000 // len(piece))
    assert replaced(text, ALL) == text


def test_replacements_are_counted() -> None:
    batch = texts("a@b.cd 8.8.8.8 2a00::1 13800138000 112-233-445 95", None, "")
    assert ALL.build()(batch).to_pylist() == [
        {
            "text": "email@example.com 192.0.2.1 2001:db8::1 [PHONE] [ID]",
            "pii.emails": 1,
            "pii.ip_addresses": 2,
            "pii.phones": 1,
            "pii.identity_numbers": 1,
            "pii.spans": [0, 6, 7, 14, 15, 22, 23, 34, 35, 49],
            "pii.replaced_kinds": ["email", "ip_address", "ip_address", "phone", "identity_number"],
        },
        {"text": None} | dict.fromkeys(ALL.columns().names),
        {"text": ""}
        | {f"pii.{metric}": 0 for metric in PiiConfig.METRICS}
        | {"pii.spans": [], "pii.replaced_kinds": []},
    ]


def test_an_unknown_country_is_the_users_error() -> None:
    with pytest.raises(UserError, match="phones"):
        PiiConfig.parse({"name": "pii", "phones": ["xx"]}, "recipe.toml: stage[0] pii")


pieces = st.sampled_from(
    ["a@b.cd", "@", "8.8.8.8", "10.0.0.1", "2a00::1", "13800138000", "+7 916 123-45-67", "11010519491231002X", " ", "."]
)


@given(st.lists(st.one_of(pieces, any_text.filter(lambda text: "@" not in text)), max_size=6).map("，".join))
def test_a_second_run_changes_nothing(text: str) -> None:
    once = replaced(text, ALL)
    assert replaced(once, ALL) == once


@given(st.lists(st.one_of(pieces, any_text), max_size=8).map(" ".join))
def test_spans_and_kinds_are_those_of_the_replacements(text: str) -> None:
    row = ALL.build()(texts("padding", text)).to_pylist()[1]
    utf8, spans = text.encode(), row["pii.spans"]
    at = 0
    replacements = {
        "email": ALL.email_replacements,
        "ip_address": ALL.ipv4_replacements + ALL.ipv6_replacements,
        "phone": ALL.phone_replacements,
        "identity_number": ALL.identity_number_replacements,
    }
    rest = row["text"].encode()
    for kind, start, end in zip(row["pii.replaced_kinds"], spans[::2], spans[1::2], strict=True):
        left = utf8[at:start]
        assert rest.startswith(left)
        rest = rest[len(left) :]
        new = next(new.encode() for new in replacements[kind] if rest.startswith(new.encode()))
        rest, at = rest[len(new) :], end
    assert rest == utf8[at:]
    assert [row["pii.replaced_kinds"].count(kind) for kind in KINDS] == [row[f"pii.{m}"] for m in PiiConfig.METRICS]


def test_an_address_directly_after_another_is_found() -> None:
    assert replaced("2a00:1450::a.b@c.de") == "2001:db8::1email@example.com"


def test_time_is_linear_in_the_number_of_addresses() -> None:
    addresses = "write to a@b.cd or 8.8.8.8 or 13800138000\n" * 5_000
    row = ALL.build()(texts(addresses)).to_pylist()[0]
    assert [row["pii.emails"], row["pii.ip_addresses"], row["pii.phones"]] == [5_000] * 3


@given(any_text.filter(lambda text: not any(c.isascii() and c.isalnum() for c in text)))
def test_text_without_ascii_letters_and_digits_stays(text: str) -> None:
    assert replaced(text, ALL) == text
