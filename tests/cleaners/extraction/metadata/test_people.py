"""Names in bylines of many languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaners.extraction.metadata.people import byline_in, declared_names, is_group, is_name, names_in


@pytest.mark.parametrize(
    ("byline", "names"),
    [
        ("By Ann Lee", ["Ann Lee"]),
        ("By ANN LEE and Bo Ek, Staff Writers", ["ANN LEE", "Bo Ek"]),
        ("Written by Ann Lee | ann@example.org", ["Ann Lee"]),
        ("Posted by Ann Lee on March 5, 2020", ["Ann Lee"]),
        ("By Ann Lee March 5, 2020", ["Ann Lee"]),
        ("By Ann Lee, The Associated Press", ["Ann Lee"]),
        ("By Ann Lee The Associated Press", ["Ann Lee"]),
        ("By The Associated Press", ["The Associated Press"]),
        ("By John Garcia Jr.", ["John Garcia Jr."]),
        ("View all posts by Ann Lee", ["Ann Lee"]),
        ("Zeige alle Beiträge von Ann Lee", ["Ann Lee"]),
        ("Von Ann Lee, Berlin", ["Ann Lee"]),
        ("Text: Ann Lee Foto: Bo Ek", ["Ann Lee"]),
        ("Par Jean Roy et Anne Petit", ["Jean Roy", "Anne Petit"]),
        ("Por José Ortega y Gasset", ["José Ortega y Gasset"]),
        ("por María López y Juan Pérez", ["María López", "Juan Pérez"]),
        ("di Luca Rossi", ["Luca Rossi"]),
        ("door Anna van der Berg", ["Anna van der Berg"]),
        ("Af Mette Holm", ["Mette Holm"]),
        ("Автор: Иван Петров, корреспондент", ["Иван Петров"]),
        ("autor: Jan Kowalski", ["Jan Kowalski"]),
        ("Γράφει ο Γιώργος Νίκου", ["Γιώργος Νίκου"]),
        ("作者：王小明 来源：新华网", ["王小明"]),
        ("作者:李四 编辑:王五", ["李四"]),
        ("本报记者 王小明", ["王小明"]),
        ("文／王小明", ["王小明"]),
        ("홍길동 기자", ["홍길동"]),
        ("بقلم: أحمد علي", ["أحمد علي"]),
        ("By Staff Writer", []),
        ("Follow", []),
        ("By", []),
        ("10 minutes read", []),
        ("Photo by Ann Lee", []),
    ],
)  # fmt: skip
def test_names_lose_what_stands_around_them(byline: str, names: list[str]) -> None:
    assert names_in([byline]) == names


def test_texts_of_a_byline_are_names_apart() -> None:
    assert names_in(["By", "Ann Lee", "Bo Ek"]) == ["Ann Lee", "Bo Ek"]
    assert names_in(["Ann", "Lee"]) == ["Ann Lee"]
    assert names_in(["AFP", "AFP"]) == ["AFP"]
    assert names_in(["Ann Lee", "Mill Gazette"]) == ["Ann Lee"]
    assert names_in(["Mill Gazette"]) == ["Mill Gazette"]


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        ("admin", ["admin"]),
        ("dpa", ["dpa"]),
        ("Ann Lee, dpa", ["Ann Lee", "dpa"]),
        ("Lee, Ann", ["Ann Lee"]),
        ("Lee, Ann; Ek, Bo", ["Ann Lee", "Bo Ek"]),
        ("Ann Lee, Chief Officer and Head of Mills", ["Ann Lee"]),
        ("Ann Lee | Sponsored", ["Ann Lee"]),
        ("Ann Lee | ann@example.org", ["Ann Lee"]),
        ("(Image: Getty Images)", []),
        ("ann@example.org", []),
        ("https://example.org/ann", []),
        ("Barnes & Noble", ["Barnes & Noble"]),
        ("mill.org", ["mill.org"]),
    ],
)
def test_declared_names_need_not_look_like_names(declared: str, names: list[str]) -> None:
    assert declared_names(declared) == names


@pytest.mark.parametrize(
    ("line", "byline"),
    [
        ("By Ann Lee", "By Ann Lee"),
        ("5 March 2020, 10:15 | By Ann Lee", "By Ann Lee"),
        ("25.04.24 | 14:07 Uhr | Von Ann Lee", "Von Ann Lee"),
        ("The mill stands by the river", ""),
        ("Photo by Ann Lee on Unsplash", ""),
        ("Bypass closed", ""),
    ],
)
def test_a_line_is_a_byline_by_its_first_word(line: str, byline: str) -> None:
    assert byline_in(line) == byline


def test_groups_are_told_from_people() -> None:
    assert all(map(is_group, ["The Mill Gazette", "Mill & Sons", "AFP", "Redaktion", "毎日新聞"]))
    assert not any(map(is_group, ["Ann Lee", "王小明", "Иван Петров"]))


def test_sentences_and_buttons_are_no_names() -> None:
    assert not any(
        map(is_name, ["the mill stands", "Read More", "为什么大家都很奇怪？", "4 Comments", "Share", "a b c d e f g"])
    )


@given(st.text(max_size=900))
def test_no_text_raises(text: str) -> None:
    for names in (names_in([text]), declared_names(text)):
        assert all(name == name.strip() != "" for name in names)
    byline_in(text)
