"""Each rule with a document just inside and one just outside its limit."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage_cases import reasons, reasons_of, texts
from word_oracle import any_text

from cleaners.gopher_quality import GopherQualityConfig
from pipelines.core import failing
from shards.errors import UserError

QUALITY = GopherQualityConfig(name="gopher_quality")

# 46 words of 4 letters and two stop words: what a quality test needs to stand on.
PROSE = "the and " + "word " * 46


def test_too_few_words() -> None:
    assert reasons_of(QUALITY, PROSE + "more more") == []
    assert reasons_of(QUALITY, PROSE + "more") == ["too_few_words"]


def test_too_many_words() -> None:
    assert reasons_of(QUALITY, PROSE + "word " * 99_952) == []
    assert reasons_of(QUALITY, PROSE + "word " * 99_953) == ["too_many_words"]


def test_words_too_short() -> None:
    assert reasons_of(QUALITY, "the and " + "abc " * 48) == []
    assert reasons_of(QUALITY, "the and " + "abc " * 47 + "ab") == ["words_too_short"]


def test_words_too_long() -> None:
    ten = "abcdefghij "
    assert reasons_of(QUALITY, "the and " + ten * 46 + "a" * 17 + " " + "a" * 17) == []
    assert reasons_of(QUALITY, "the and " + ten * 46 + "a" * 17 + " " + "a" * 18) == ["words_too_long"]


def test_too_many_hashes() -> None:
    assert reasons_of(QUALITY, PROSE + "#tag #two ##three #four") == []
    assert reasons_of(QUALITY, PROSE + "#tag #two ##three ##four") == ["too_many_hashes"]


def test_too_many_ellipses() -> None:
    assert reasons_of(QUALITY, PROSE + "one... two… three...… four… five") == []
    assert reasons_of(QUALITY, PROSE + "one... two… three...… four…… five") == ["too_many_ellipses"]


def test_too_many_bullet_lines() -> None:
    lines = ["• the and word word word"] * 9
    assert reasons_of(QUALITY, "\n".join([*lines, "plain word word"])) == []
    assert reasons_of(QUALITY, "\n\n".join([*lines, "- word word"])) == ["too_many_bullet_lines"]


def test_too_many_ellipsis_lines() -> None:
    lines = ["the and word word word word..."] * 3
    assert reasons_of(QUALITY, "\n".join([*lines, *["word word word word word word"] * 7])) == []
    assert reasons_of(QUALITY, "\n".join([*lines, *["word word word word word word"] * 6])) == [
        "too_many_ellipsis_lines"
    ]


def test_too_few_alpha_words() -> None:
    assert reasons_of(QUALITY, "the and " + "word " * 38 + "1234 " * 10) == []
    assert reasons_of(QUALITY, "the and " + "word " * 38 + "1234 " * 11) == ["too_few_alpha_words"]


def test_too_few_stop_words() -> None:
    assert reasons_of(QUALITY, 'word "The word, of: ' + "word " * 50) == []
    assert reasons_of(QUALITY, "the the The " + "word " * 50) == ["too_few_stop_words"]  # different ones count


def test_stop_words_of_several_ideographs_are_met_where_they_follow_each_other() -> None:
    config = GopherQualityConfig(
        name="q", min_stop_words=2, stop_words=("因为", "的"), min_words=1, min_mean_word_length=1
    )
    assert reasons_of(config, "我的书，因为喜欢") == []
    assert reasons_of(config, "我的书，因此为了") == ["too_few_stop_words"]


def test_a_punctuation_stop_word_is_only_itself() -> None:
    config = GopherQualityConfig(name="q", min_stop_words=1, stop_words=("·",), min_words=1, min_mean_word_length=1)
    assert reasons_of(config, "马克·吐温") == []
    assert reasons_of(config, "马克，吐温") == ["too_few_stop_words"]


def test_a_text_without_words_has_too_few_and_divides_by_nothing() -> None:
    assert reasons_of(QUALITY, "") == [
        "too_few_words", "words_too_short", "too_few_alpha_words", "too_few_stop_words"
    ]  # fmt: skip


@pytest.mark.real
def test_russian_prose_is_kept(real_data: Path) -> None:
    with gzip.open(real_data / "text/ru/Gogol_Viy.txt.gz", "rt", encoding="utf-8") as file:
        russian = file.read(20_000)
    assert reasons_of(GopherQualityConfig(name="q", stop_words=("и", "в", "не", "на", "что")), russian) == []


@pytest.mark.real
def test_no_chinese_page_fails_for_lack_of_spaces(real_data: Path) -> None:
    with gzip.open(real_data / "text/zh/chinesewebtext-sample.jsonl.gz", "rt", encoding="utf-8") as file:
        chinese = texts(*(json.loads(line)["raw_content"] for line in file))
    config = GopherQualityConfig(name="q", min_mean_word_length=1, stop_words=("的", "在", "是", "和"))
    failing = {reason for row in reasons(config, chinese) for reason in row}
    assert failing <= {"too_many_ellipsis_lines", "too_few_stop_words"}


# 20 words in jieba's cut, each three times: single characters, so no mean length of 3 and none of Gopher's stop words.
CHINESE = "我们的村子里有一座很老的磨坊，是三百年前的人建的，也是这里最大的房子。" * 3
RUSSIAN = "Мельница стоит у реки, и в ней не один век мололи зерно на муку для всей деревни. " * 4
THAI = "โรงสีเก่าแก่ตั้งอยู่ริมแม่น้ำและชาวบ้านนำข้าวมาสีที่นี่ทุกปีหลังการเก็บเกี่ยว " * 3


def in_languages(*rows: tuple[str | None, str]) -> pa.RecordBatch:
    codes, values = zip(*rows, strict=True)
    return texts(*values).append_column("language", pa.array(codes, pa.string()))


def failing_rules(config: GopherQualityConfig, batch: pa.RecordBatch) -> list[list[str]]:
    measured = config.build()(batch)
    fails = [(r.reason.split(".")[1], failing(measured[r.metric], r, batch["language"])) for r in config.rules()]
    return [[reason for reason, mask in fails if mask[row]] for row in range(batch.num_rows)]


@pytest.mark.parametrize(
    ("code", "text"),
    [("zh", CHINESE), ("cmn_Hani", CHINESE), ("ru", RUSSIAN), ("th", THAI), ("en", PROSE + "a b c d e")],
)
def test_each_row_is_judged_by_its_language(code: str, text: str) -> None:
    beside = ("en", PROSE), ("zh", "abc " * 60), (None, PROSE + "more more")
    first, english, chinese, nameless = failing_rules(QUALITY, in_languages((code, text), *beside))
    assert first == []
    assert english == ["too_few_words"]
    assert chinese == ["too_few_stop_words"]
    assert nameless == []


@pytest.mark.parametrize(("code", "text"), [("zh", CHINESE), ("ru", RUSSIAN), ("th", THAI)])
def test_a_row_without_a_language_is_taken_for_english(code: str, text: str) -> None:
    assert "too_few_stop_words" in failing_rules(QUALITY, in_languages((None, text)))[0] == reasons_of(QUALITY, text)


def test_an_unknown_language_has_neither_stop_words_nor_lengths() -> None:
    assert failing_rules(QUALITY, in_languages(("tlh", "nuqneHqaStaHvISqaStaH " * 50))) == [[]]
    assert failing_rules(QUALITY, in_languages(("tlh", "nuqneHqaStaHvISqaStaH " * 49))) == [["too_few_words"]]


def test_what_a_recipe_sets_holds_for_all_languages() -> None:
    config = GopherQualityConfig(name="q", min_mean_word_length=3.0, stop_words=("the", "and"), min_words=40)
    batch = in_languages(("zh", CHINESE), ("th", THAI))
    assert failing_rules(config, batch) == [
        ["words_too_short", "too_few_stop_words"],
        ["too_few_words", "too_few_stop_words"],
    ]


def test_chinese_words_are_cut_by_default_and_those_of_english_rows_stay() -> None:
    mixed = in_languages(("zh", CHINESE), ("en", CHINESE), ("ja", CHINESE), ("en", PROSE))
    counts = QUALITY.build()(mixed)["gopher_quality.word_count"].to_pylist()
    cut, plain = (
        GopherQualityConfig(name="q", segmented=segmented).build()(mixed)["q.word_count"].to_pylist()
        for segmented in (True, False)
    )
    assert counts == [cut[0], plain[1], cut[2], plain[3]]
    assert cut[0] < plain[0]


@given(st.lists(st.tuples(st.sampled_from(["en", "zh", "ru", "ja", None]), any_text), max_size=6))
def test_a_row_is_measured_the_same_alone_and_beside_others(rows: list[tuple[str | None, str]]) -> None:
    stage = QUALITY.build()
    together = stage(in_languages(*rows, ("en", PROSE)))
    alone = [stage(in_languages(row)) for row in rows]
    for name in QUALITY.columns().names:
        assert together[name].to_pylist()[:-1] == [batch[name][0].as_py() for batch in alone]


def test_with_compat_all_rows_have_the_english_values() -> None:
    config = GopherQualityConfig(name="q", compat="datatrove")
    assert {rule.setting: rule.min_kept for rule in config.rules()}["min_mean_word_length"] == 3.0
    assert not any(rule.by_language for rule in config.rules())
    assert "too_few_stop_words" in failing_rules(config, in_languages(("ru", RUSSIAN)))[0]


def test_a_threshold_of_the_wrong_type_is_one_line() -> None:
    for key, value, message in (
        ("min_mean_word_length", "fifty", "valid number, found 'fifty'"),
        ("stop_words", "the", "expected an array"),
        ("segmented", "yes", "valid boolean, found 'yes'"),
    ):
        with pytest.raises(UserError, match=f"^r.{key}: [^;]*{message}[^;]*$"):
            GopherQualityConfig.parse({"name": "q", key: value}, "r")
