import gzip
import tarfile
from pathlib import Path

import pytest
from stage_cases import reasons_of, texts

from cleaners.language import LanguageConfig
from cleaners.language_line import lines_to_ask
from cleaners.language_model import LanguageModel
from shards.errors import UserError

pytestmark = pytest.mark.usefixtures("language_model")

ENGLISH = "The mill grinds slowly, but it grinds exceedingly fine,\nand the flour is sold at the market."
RUSSIAN = "Мельница мелет медленно, но мука выходит очень мелкой, и её продают на рынке."


def test_unwanted() -> None:
    assert reasons_of(LanguageConfig(name="language", languages=("en", "de")), ENGLISH) == []
    assert reasons_of(LanguageConfig(name="language", languages=("zh",)), ENGLISH) == ["unwanted"]


def test_low_score(language_model: Path) -> None:
    (_, score), *_ = LanguageModel(language_model).identify(lines_to_ask(texts(ENGLISH)["text"]))
    inside, outside = (LanguageConfig(name="language", min_score=threshold) for threshold in (score, score + 1e-9))
    rules = [next(rule for rule in config.rules() if rule.metric == "language_score") for config in (inside, outside)]
    assert rules[0].min_kept == score < rules[1].min_kept
    assert reasons_of(inside, ENGLISH) == []


def test_a_language_can_have_a_score_of_its_own() -> None:
    score = LanguageConfig(name="language").build()(texts(RUSSIAN)).to_pylist()[0]["language_score"]
    config = LanguageConfig.parse(
        {"name": "language", "languages": ["en", "ru"], "min_score": 0.0, "min_scores": {"ru": 1.0}}, "here"
    )
    assert score < 1
    assert reasons_of(config, RUSSIAN) == ["low_score.ru"]
    assert reasons_of(config, ENGLISH) == []
    assert config.model_dump(mode="json")["min_scores"] == {"ru": 1.0}


SENTENCES = {
    "ru": "Мельница у реки построена в тот год, когда закончили мост, и мельник вёл записи о каждом мешке зерна.",
    "de": "Die alte Mühle am Fluss wurde in dem Jahr gebaut, in dem die Brücke fertig war, sagte der Müller.",
    "fr": "Le vieux moulin près de la rivière a été construit l'année où le pont fut achevé, dit le meunier.",
    "es": "El viejo molino junto al río se construyó el año en que se terminó el puente, dijo el molinero.",
    "el": "Ο παλιός μύλος δίπλα στο ποτάμι χτίστηκε τη χρονιά που τελείωσε η γέφυρα, είπε ο μυλωνάς.",
    "tr": "Nehrin kıyısındaki eski değirmen, köprünün bitirildiği yıl yapıldı, dedi değirmenci.",
    "uk": "Старий млин біля річки збудували того року, коли закінчили міст, сказав мірошник.",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_spaces_that_are_no_ascii_and_capitals_do_not_hide_a_language(language: str) -> None:
    plain = SENTENCES[language]
    forms = [plain.replace(" ", space) for space in ("\u00a0", "\u202f", "\u3000", "\u200b")]
    forms += [plain.upper(), "\u00ad".join(plain), "\ufeff" + plain, "\u200b".join(plain)]
    measured = LanguageConfig(name="language").build()(texts(plain, *forms)).to_pylist()
    assert [row["language"] for row in measured] == [language] * 9
    assert all(row["language_score"] > 0.5 for row in measured)


def test_a_score_for_a_language_that_is_not_wanted_is_refused() -> None:
    with pytest.raises(UserError, match="ru must be named in `languages` too"):
        LanguageConfig.parse({"name": "language", "min_scores": {"ru": 0.9}}, "here")


def test_no_languages_means_all() -> None:
    config = LanguageConfig(name="language", languages=(), min_score=0.0)
    measured = config.build()(texts(ENGLISH, RUSSIAN)).to_pylist()
    assert [row["language"] for row in measured] == ["en", "ru"]
    assert [row["language.is_wanted"] for row in measured] == [1, 1]


@pytest.mark.parametrize("text", [None, "", " \n\u3000", "\u200f", "\ufeff\u00a0"])
def test_a_blank_text_has_no_language_and_passes(text: str | None) -> None:
    row = LanguageConfig(name="language").build()(texts(ENGLISH, text)).to_pylist()[1]
    assert (row["language"], row["language_score"], row["language.is_wanted"]) == (None, None, None)


@pytest.mark.parametrize("text", ["\x00", "😀", "\r", "a\x00b\nc", "\u200d"])
def test_odd_texts_get_an_answer_with_a_score_up_to_one(text: str) -> None:
    if not text.isspace():
        row = LanguageConfig(name="language").build()(texts(text)).to_pylist()[0]
        assert 0 < row["language_score"] <= 1


def test_a_language_that_the_model_lacks_is_the_users_error() -> None:
    for code, message in (
        ("eng", "the model has no eng; closest of its 176 languages: en"),
        ("xx", "the model has no xx; none of its 176 languages is similar"),
        ("", "the model has no language of the empty name ''; none of its 176"),
    ):
        with pytest.raises(UserError, match=f"^language.languages: {message}"):
            LanguageConfig(name="language", languages=(code,)).build()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("languages", "en", r'languages: expected an array like \["en"\], found \'en\''),
        ("min_scores", 3, r"min_scores: expected a table like { ru = 0\.9 }, found 3"),
        ("min_scores", [0.9], r"min_scores: expected a table like { ru = 0\.9 }, found"),
        ("min_scores", {"en": float("nan")}, r"min_scores\.en: .*, found nan"),
        ("min_scores", {"en": "high"}, r"min_scores\.en: .*, found 'high'"),
    ],
)
def test_a_wrong_setting_is_reported_in_the_words_of_toml(setting: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=rf"^language\.{message}"):
        LanguageConfig.parse({"name": "language", setting: value}, "language")


@pytest.mark.real
def test_a_model_with_labels_of_language_and_script_works(real_data: Path, tmp_path: Path) -> None:
    """Labels as GlotLID has them, in a real model of real sentences."""
    import fasttext

    labels = {"en": "eng_Latn", "ru": "rus_Cyrl"}
    with tarfile.open(real_data / "langid" / "lingua-testdata.tar.xz") as archive:
        sentences = {}
        for code in labels:
            member = archive.extractfile(f"lingua-testdata/language-testdata/sentences/{code}.txt")
            assert member is not None
            sentences[code] = member.read().decode().splitlines()
    lines = [f"__label__{labels[code]} {line}\n" for code in labels for line in sentences[code][:500]]
    (tmp_path / "train").write_text("".join(lines), encoding="utf-8")
    made = fasttext.train_supervised(
        str(tmp_path / "train"), minn=1, maxn=3, dim=8, bucket=5000, epoch=10, thread=1, seed=0, verbose=0
    )
    made.save_model(str(tmp_path / "model.bin"))
    config = LanguageConfig(
        name="language", model=str(tmp_path / "model.bin"), languages=("rus_Cyrl",), min_scores=(("rus_Cyrl", 0.9),)
    )
    measured = config.build()(texts(*sentences["en"][500:550], *sentences["ru"][500:550]))
    assert measured["language"].to_pylist() == ["eng_Latn"] * 50 + ["rus_Cyrl"] * 50
    assert reasons_of(config, ENGLISH) == ["unwanted"]
    assert reasons_of(config, RUSSIAN) == []


def test_a_file_that_is_not_a_model_and_a_missing_one_are_the_users_errors(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    config = LanguageConfig(name="language", model=str(path))
    with pytest.raises(UserError, match=r"model\.bin"):
        config.digests()
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match="not a fastText model"):
        config.build()


@pytest.mark.real
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("text/ru/Gogol_Viy.txt.gz", "ru"),
        ("text/zh/chinesewebtext-sample.jsonl.gz", "zh"),
        ("text/en/tinyshakespeare.txt.gz", "en"),
    ],
)
def test_languages_of_real_texts_are_recognized(path: str, code: str, real_data: Path) -> None:
    with gzip.open(real_data / path, "rt", encoding="utf-8") as file:
        text = file.read(5000)
    assert reasons_of(LanguageConfig(name="language", languages=(code,)), text) == []


def test_the_report_names_the_mix_of_languages_beside_the_papers() -> None:
    config = LanguageConfig(name="language", languages=("en",))
    documents = {"en": 60, "de": 30, "fr": 5, "ru": 3, "zh": 2}
    assert config.published_remark(documents, {"language.low_score": 1234}) == (
        "Of the pages with text 60.0 % are in en (then de 30.0 %, fr 5.0 %, ru 3.0 %): the mix of languages of this "
        "input is the cause. 1,234 pages score below 0.65."
    )
    assert config.published_remark({}, {}).startswith("Of the pages with text 0.0 % are in en: ")
