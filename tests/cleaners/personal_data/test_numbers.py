"""Phone and identity numbers in the forms in which pages write them."""

import pytest
from stage_cases import texts

from cleaners.pii import PiiConfig


def replaced(text: str, country: str) -> str:
    values = {"name": "pii", "phones": [country], "identity_numbers": [country]}
    return PiiConfig.parse(values, "here").build()(texts("x", text))["text"][1].as_py()


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("zh", "(010)12345678"),
        ("zh", "（010）1234 5678"),
        ("zh", "（０１０）１２３４５６７８"),
        ("zh", "(0755) 8888-8888"),
        ("zh", "（0349）6892826"),
        ("zh", "１３８１２３４５６７８"),
        ("zh", "+86 138-1234-5678"),
        ("zh", "+86 １３８－１２３４－５６７８"),
        ("zh", "+86 (010) 12345678"),
        ("zh", "138\u00a01234\u00a05678"),
        ("ru", "+7 (495) 123\u201145\u201167"),
        ("ru", "+7\u00a0495\u00a0123\u00a045\u00a067"),
        ("ru", "8 (495) 123\u201345\u201367"),
        ("ru", "(495) 123-45-67"),
    ],
)
def test_phone_numbers_are_found_in_any_width(country: str, number: str) -> None:
    assert replaced(f"联系：{number}，。", country) == "联系：[PHONE]，。"


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("zh", "Fax: (0341) 6892826"),  # Leipzig
        ("zh", "(2010)12345678 (010)123456 (010)1234567890"),
        ("zh", "１２８１２３４５６７８，１３８１２３４５６７８９"),
        ("zh", "Ａ１３８１２３４５６７８"),
        ("ru", "(495) 123-4567 (195) 123-45-67 2(495) 123-45-67"),
    ],
)
def test_other_numbers_stay(country: str, text: str) -> None:
    assert replaced(text, country) == text


def test_an_identity_number_is_found_in_full_width() -> None:
    assert replaced("号１１０１０５１９４９１２３１００２Ｘ，", "zh") == "号[ID]，"
    assert replaced("号１１０１０５１９４９１２３１００２１，", "zh") == "号１１０１０５１９４９１２３１００２１，"
