"""whatif against the truth: a run made again with the changed settings."""

import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from crawl import Crawl, article, sentences
from hypothesis import given
from hypothesis import strategies as st
from ledger_runs import make_crawl, make_run, report_of

from dedup.url_keys import hosts_of_keys, may_have_host, normalized, url_keys
from pipelines.core import decide
from pipelines.executors import InProcess
from pipelines.ledger.table import Ledger
from pipelines.passes import execute
from pipelines.recipe import KINDS, load_recipe
from pipelines.replay.whatif import Forecast, whatif
from pipelines.replay.whatif_lines import lines
from pipelines.run.opening import open_run
from shards.errors import RunError, UserError
from shards.schema import VERDICT
from shards.sink import ArrowSink, open_arrow, read_table
from shards.stage import StageConfig, with_columns
from shards.stats import Stats


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="module")
def run(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("whatif") / "run", crawl)


def assert_exactly(forecast: Forecast, run: Path) -> None:
    report = report_of(run)
    assert {r.reason: r.after.documents for r in forecast.rules if r.after.documents} == report["dropped"]
    assert [(s.stage, s.least, s.most) for s in forecast.funnel] == [
        (s["stage"], s["documents"], s["documents"]) for s in report["funnel"]
    ]
    assert forecast.least == forecast.most
    assert forecast.least.documents == report["documents"]["kept"]
    assert forecast.least.characters == report["funnel"][-1]["characters"]
    assert forecast.least.words == report["kept_words"]
    assert (forecast.unmeasured, forecast.uncompared) == (0, 0)


def test_without_a_change_the_runs_own_funnel_comes_out(run: Path) -> None:
    dropped = report_of(run)["dropped"]
    assert {"dedup.same_record", "dedup.exact", "dedup.near", "dedup.url", "page.bad_status"} < set(dropped)
    forecast = whatif(run, [])
    assert_exactly(forecast, run)
    assert all(rule.before == rule.after for rule in forecast.rules)
    assert "no setting is changed" in list(lines(forecast))


@pytest.mark.parametrize(
    "settings",
    [
        ["gopher_quality.min_words=100"],
        ["gopher_quality.max_words=250"],  # the kept one of each pair is too long: its twin comes back
        ["gopher_quality.max_words=250", "gopher_quality.min_words=100"],
        ["gopher_quality.min_mean_word_length=9.0"],
        ["gopher_quality.max_words=450"],
        ["near.threshold=0.999"],
        ["refinedweb_lines.max_removed_word_fraction=0.0"],
        ["near.threshold=0.9"],  # in the chain a is like b, b is like c, and a and c are unlike: c comes back
        ["near.threshold=0.9", "gopher_quality.max_words=550"],  # a goes, so b comes back, and c leaves for it
        ["page.max_bytes=2000"],
        ["extract.min_chars=600"],
    ],
)
def test_tighter_bounds_give_what_a_run_with_them_gives(
    run: Path, crawl: Path, tmp_path: Path, settings: list[str]
) -> None:
    forecast = whatif(run, settings)
    assert forecast.most != forecast.before
    assert_exactly(forecast, make_run(tmp_path / "again", crawl, settings))


@pytest.mark.parametrize(
    ("settings", "unmeasured", "uncompared"),
    [
        (["gopher_quality.min_words=20"], 0, 1),
        (["gopher_quality.min_words=false"], 0, 1),
        (["page.max_status=499"], 1, 0),
        (["page.max_status=499", "gopher_quality.min_words=20", "gopher_quality.max_words=250"], 1, 1),
    ],
)
def test_looser_bounds_give_a_range_that_holds_what_a_run_gives(
    run: Path, crawl: Path, tmp_path: Path, settings: list[str], unmeasured: int, uncompared: int
) -> None:
    forecast = whatif(run, settings)
    assert (forecast.unmeasured, forecast.uncompared) == (unmeasured, uncompared)
    assert forecast.most.documents - forecast.least.documents == unmeasured + uncompared
    report = report_of(make_run(tmp_path / "again", crawl, settings))
    assert forecast.least.documents <= report["documents"]["kept"] <= forecast.most.documents
    for stage, truth in zip(forecast.funnel, report["funnel"], strict=True):
        assert stage.least <= truth["documents"] <= stage.most, stage


def test_what_comes_back_without_deduplication_is_known_exactly(crawl: Path, tmp_path: Path) -> None:
    """Equal ids and addresses are in the ledger; only texts would have to be compared."""
    recipe = """
        source.web.kind = "warc"
        stage = [
            { kind = "extract", engine = "resiliparse" },
            { kind = "gopher_quality", max_words = 250 },
            { kind = "url_dedup" },
        ]
    """
    run = make_run(tmp_path / "run", crawl, recipe=recipe)
    settings = ["gopher_quality.max_words=false"]
    forecast = whatif(run, settings)
    assert [s.least for s in forecast.funnel][-1] < [s.least for s in forecast.funnel][-2]  # url_dedup decides again
    assert_exactly(forecast, make_run(tmp_path / "again", crawl, settings, recipe))


def test_a_second_pass_that_did_not_measure_a_document_leaves_it_open(crawl: Path, tmp_path: Path) -> None:
    recipe = """
        source.web.kind = "warc"
        stage = [
            { kind = "page" },
            { kind = "extract", engine = "resiliparse" },
            { kind = "minhash", name = "near", bands = 14, rows = 8 },
            { kind = "gopher_quality" },
        ]
    """
    run = make_run(tmp_path / "run", crawl, recipe=recipe)
    assert_exactly(whatif(run, ["gopher_quality.min_words=100"]), make_run(
        tmp_path / "tight", crawl, ["gopher_quality.min_words=100"], recipe))  # fmt: skip
    forecast = whatif(run, ["near.threshold=0.999"])
    assert forecast.unmeasured > 0
    kept = report_of(make_run(tmp_path / "again", crawl, ["near.threshold=0.999"], recipe))["documents"]["kept"]
    assert forecast.least.documents <= kept <= forecast.most.documents


def test_who_was_compared_with_a_lost_leader_alone_is_open(tmp_path: Path) -> None:
    """In a bucket of 21 each was compared with the leader, not with each other: when it goes, one of 20 stays, and
    how many like it the stored pairs miss is not known."""
    crawl = Crawl()
    crawl.page(
        "https://leader.example/", article("Leader", [*sentences(1), *sentences(2), "One more word for the end."])
    )
    for i in range(20):
        crawl.page(
            f"https://copy.example/{i}", article("Copy", [*sentences(1), *sentences(2)[:-1], f"Copy {1000 + i} ends."])
        )
    folder = crawl.write(tmp_path / "crawl" / "a.warc.gz").parent
    run = make_run(tmp_path / "run", folder)
    words = int(max(Ledger.open(run).counts("gopher_quality.word_count")))
    settings = [f"gopher_quality.max_words={words - 1}"]
    forecast = whatif(run, settings)
    assert forecast.before.documents == 1
    assert forecast.uncompared == forecast.most.documents >= 1
    assert report_of(make_run(tmp_path / "again", folder, settings))["documents"]["kept"] == 1


@pytest.mark.parametrize("min_words", [0, 40, 75, 120, 10**6])
def test_local_stages_decide_as_the_core_decides(run: Path, min_words: int) -> None:
    """The plain oracle: every measured row through `decide`, stage by stage, with lists of reasons."""
    ledger = Ledger.open(run)
    forecast = whatif(run, [f"gopher_quality.min_words={min_words}"])
    names = [name for name in ledger.schema.names if name.partition(".")[2] and name.partition(".")[0] != "extract"]
    batch = pa.RecordBatch.from_arrays([ledger.column(n) for n in ["text_chars", *names]], names=["text_chars", *names])
    reached = ledger.column("extract.num_chars").fill_null(0).to_numpy() > 0  # what extraction took out is the same
    batch = batch.filter(pa.array(reached))
    batch = with_columns(batch, {"drop_reasons": pa.array([[]] * batch.num_rows, VERDICT.field("drop_reasons").type)})
    for _, stage in ledger.recipe.stages:
        if isinstance(stage, StageConfig) and stage.name != "extract":
            if stage.name == "gopher_quality":
                stage = stage.model_copy(update={"min_words": min_words})
            batch = decide(batch, stage.rules(), Stats())
    first = [reasons[0] for reasons in batch["drop_reasons"].to_pylist() if reasons]
    after = {rule.reason: rule.after.documents for rule in forecast.rules}
    for reason in ("gopher_quality.too_few_words", "refinedweb_lines.too_many_words_removed"):
        assert after.get(reason, 0) == first.count(reason)


def test_a_change_is_told_by_rule_and_in_total(run: Path) -> None:
    told = list(lines(whatif(run, ["gopher_quality.min_words=20"])))
    assert told[0] == "gopher_quality.min_words 50 -> 20"
    (few,) = [line.split() for line in told if line.startswith("gopher_quality.too_few_words")]
    assert few[1:4] == ["1", "0", "-1"]
    assert int(few[4].replace(",", "")) < 0
    assert any(line.startswith("kept documents: ") and "(0 … +1)" in line for line in told)
    assert any("1 need comparing" in line for line in told)
    assert told[-1] == f"to know: gristmill apply {run} --set gopher_quality.min_words=20 --out NEW"


def test_documents_that_change_sides_are_counted_and_named(run: Path, tmp_path: Path, crawl: Path) -> None:
    settings = ["gopher_quality.min_words=100", "gopher_quality.max_words=250"]
    found = whatif(run, settings, examples=99)
    before, after = (fates_of(folder) for folder in (run, make_run(tmp_path / "other", crawl, settings)))
    for moved, is_gained in ((found.gained, True), (found.lost, False)):
        expected = {id for id in before if (before[id] == "kept", after[id] == "kept") == (not is_gained, is_gained)}
        assert {one.id for one in moved.examples} == expected
        assert (moved.documents, moved.perhaps) == (len(expected), 0)
    (short,) = [one for one in found.lost.examples if one.url == "https://short.example/2"]
    assert (short.after, short.metric, short.value) == (
        "gopher_quality.too_few_words",
        "gopher_quality.word_count",
        56,
    )
    assert len(whatif(run, settings, examples=2).lost.examples) == 2
    assert any("https://" in line and "word_count" in line for line in lines(found))


def fates_of(run: Path) -> dict[str, str]:
    """By id; the copy of a record that stands there twice does not count."""
    ledger = Ledger.open(run)
    pairs = zip(ledger.column("id").to_pylist(), ledger.column("drop_reasons").to_pylist(), strict=True)
    return {id: (reasons or ["kept"])[0] for id, reasons in pairs if "dedup.same_record" not in reasons}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("gopher_quality.stop_words=[]", r"is no threshold .* gristmill apply .* --set '.*stop_words=\[\]' --out NEW$"),
        ("url_dedup.kind=exact", r"url_dedup.kind: is no threshold .* gristmill apply "),
        ("extract.favour=precision", r"extract.favour: is no threshold .* gristmill run \S+/recipe.toml "),
        ("refinedweb_lines.max_uppercase_fraction=0.9", "max_uppercase_fraction: is no threshold .* gristmill apply "),
        ("gopher_quality.name=other", "gopher_quality.name: is no threshold"),
        ("near.bands=20", "near.bands: is no threshold"),
        ("near.threshold=0.5", r"near.threshold: pairs below 0.75 were not kept; .*gristmill apply"),
        ("exact.keep=newest", "exact.keep: is no threshold"),
        ("output.dropped_per_rule=1", "change no verdict"),
        ("source.paths=elsewhere", "change no verdict"),
        ("gopher_quality.min_wrods=3", "gopher_quality.min_wrods: unknown key"),
        ("gopher_quality.min_words=many", "min_words: .* found 'many'"),
        ("gopher.min_words=3", "has no 'gopher'"),
        ("min_words", "expected STAGE.KEY=VALUE"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(run: Path, setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        whatif(run, [setting])
    assert "\n" not in str(refused.value)


LANGUAGES = """
source.web.kind = "warc"
stage = [
    { kind = "extract", engine = "resiliparse" },
    { kind = "language", languages = ["en", "ru", "zh"], min_score = 0.5 },
    { kind = "gopher_quality", min_words = 1, min_stop_words = false },
    { kind = "url_dedup" },
]
"""
TEXTS = {
    "en": " ".join(sentences(1)),
    "ru": "Мельница стоит у реки и уже триста лет мелет зерно всей долины. " * 4,
    "zh": "磨坊立在河边，三百年来一直为山谷里的人家磨面。" * 6,
    "de": "Die Mühle steht am Fluss und mahlt seit dreihundert Jahren das Korn des Tals. " * 3,
}


@pytest.mark.usefixtures("language_model")
def test_languages_and_their_scores_are_replayed(tmp_path: Path) -> None:
    crawl = Crawl()
    for language, text in TEXTS.items():
        for i in range(3):
            crawl.page(f"https://{language}.example/{i}", article(language, [text, f"{i}"]))
    folder = crawl.write(tmp_path / "crawl" / "a.warc.gz").parent
    run = make_run(tmp_path / "run", folder, recipe=LANGUAGES)
    assert report_of(run)["dropped"]["language.unwanted"] == 3
    for number, settings in enumerate(
        (["language.languages=['en', 'ru']"], ["language.languages=['ru']", "language.min_score=0.7"])
    ):
        truth = make_run(tmp_path / f"again-{number}", folder, settings, LANGUAGES)
        assert_exactly(whatif(run, settings), truth)
    more = whatif(run, ["language.languages=[]"])
    assert (more.unmeasured, more.most.documents - more.least.documents) == (3, 3)
    assert "language.languages ('en', 'ru', 'zh') -> ()" in more.changes
    with pytest.raises(UserError, match=r"language\.model: is no threshold"):
        whatif(run, ["language.model=other.ftz"])

    # One score for each language, by the plain reading of the setting.
    ledger = Ledger.open(run)
    found = list(zip(ledger.column("language").to_pylist(), ledger.column("language_score").to_pylist(), strict=True))
    russian = sorted(score for language, score in found if language == "ru")
    for scores in ({"ru": russian[1], "zh": 1.0}, {"ru": russian[-1] + 1e-9}, {"en": 0.0, "zh": 0.5}):
        told = ", ".join(f"{language} = {score!r}" for language, score in scores.items())
        forecast = whatif(run, [f"language.min_scores={{ {told} }}"])
        after = {rule.reason: rule.after.documents for rule in forecast.rules if rule.after.documents}
        low = [lang for lang, score in found if lang in ("en", "ru", "zh") and score < scores.get(lang, 0.5)]
        assert {reason: n for reason, n in after.items() if "low_score" in reason} == {
            f"language.low_score.{lang}": low.count(lang) for lang in sorted(set(low))
        }
        assert after["language.unwanted"] == 3


def test_a_page_that_was_never_extracted_stays_open(crawl: Path, tmp_path: Path) -> None:
    recipe = """
        source.web.kind = "warc"
        stage = [{ kind = "extract", engine = "resiliparse", max_elements = 5 }]
    """
    run = make_run(tmp_path / "run", crawl, recipe=recipe)
    forecast = whatif(run, ["extract.max_elements=1000"])
    assert forecast.before.documents < forecast.most.documents
    assert forecast.least == forecast.before
    assert forecast.unmeasured == forecast.most.documents - forecast.least.documents


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"extract"}))
def test_no_stage_measures_by_a_bound_of_its_rules(kind: str) -> None:
    """What makes whatif right: a bound only decides. Extraction refuses pages by two of its bounds, which stay open."""
    if not issubclass(KINDS[kind], StageConfig):
        return
    fields = {name: str(about.annotation) for name, about in KINDS[kind].model_fields.items() if about.is_required()}
    required = {
        name: {"a": "a"} if annotation.startswith(("dict", "tuple")) else "a" for name, annotation in fields.items()
    }
    config = KINDS[kind].parse(required | {"name": kind}, kind)
    assert isinstance(config, StageConfig)
    bounds = {rule.setting for rule in config.rules() if rule.setting}
    numbers = {name for name in bounds if isinstance(getattr(config, name), int | float)}
    measured_by = set(re.findall(r"self\.(\w+)", inspect.getsource(type(config).build)))
    assert not numbers & measured_by


TOP_SHARE = """
source.web.kind = "warc"
stage = [
    { kind = "page" },
    { kind = "extract", engine = "resiliparse" },
    { kind = "language", languages = [], min_score = 0.0 },
    { kind = "gopher_quality", min_stop_words = false },
    { kind = "top_share", metric = "language_score", kept_fraction = 0.5 },
    { kind = "url_dedup" },
]
"""


@pytest.fixture(scope="module")
def top_share_run(crawl: Path, language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("top_share") / "run", crawl, recipe=TOP_SHARE)


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["gopher_quality.min_words=100"],
        ["gopher_quality.max_words=250"],  # fewer stay, but of them some that were below the share
        ["gopher_quality.min_words=20"],
        ["top_share.kept_fraction=0.2"],
        ["top_share.kept_fraction=1.0"],
        ["top_share.kept_fraction=0.001"],
        ["language.min_score=0.9", "top_share.kept_fraction=0.7"],
    ],
)
def test_a_share_of_measured_documents_is_known_exactly(
    top_share_run: Path, crawl: Path, tmp_path: Path, settings: list[str]
) -> None:
    assert report_of(top_share_run)["dropped"]["top_share.below_top"] > 5
    assert_exactly(whatif(top_share_run, settings), make_run(tmp_path / "again", crawl, settings, TOP_SHARE))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_a_share_among_documents_without_a_value_is_a_range(
    top_share_run: Path, crawl: Path, tmp_path: Path, fraction: float
) -> None:
    settings = ["page.max_status=499", f"top_share.kept_fraction={fraction}"]
    forecast = whatif(top_share_run, settings)
    assert forecast.least.documents < forecast.most.documents
    assert list(lines(forecast))[-1].startswith("to know: ")
    truth = report_of(make_run(tmp_path / "again", crawl, settings, TOP_SHARE))
    for stage, true in zip(forecast.funnel, truth["funnel"], strict=True):
        assert stage.least <= true["documents"] <= stage.most, stage


def test_a_rule_that_was_off_is_switched_on(crawl: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crawl, ["gopher_quality.min_words=false"])
    forecast = whatif(run, ["gopher_quality.min_words=100"])
    assert forecast.changes == ("gopher_quality.min_words off -> 100",)
    assert_exactly(forecast, make_run(tmp_path / "again", crawl, ["gopher_quality.min_words=100"]))


def test_a_run_that_is_not_whole_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run of gristmill"):
        whatif(tmp_path, [])
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / "report.json").unlink()
    with pytest.raises(UserError, match="the run is not finished"):
        whatif(copy, [])
    shutil.copy(run / "report.json", copy)
    (copy / "dedup" / "near" / "edges.arrow").unlink()
    whatif(copy, [])
    with pytest.raises(RunError, match=r"edges\.arrow: missing"):
        whatif(copy, ["gopher_quality.max_words=250"])
    shutil.rmtree(copy / "ledger")
    with pytest.raises(RunError, match="ledger: missing"):
        whatif(copy, [])


hosts = st.sampled_from("a.example www.a.example WWW.A.example a.example. a.example:80 bücher.example [::1]".split())
tails = st.text(alphabet="aA/?&=%7e~.#+ü utm_source\n", max_size=12)


@given(st.lists(st.one_of(st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "HTTP", "ftp"]), hosts,
    st.one_of(st.just(""), tails.map("/{}".format))), st.text(), st.none())))  # fmt: skip
def test_urls_are_normalised_in_columns_as_one_by_one(urls: list[str | None]) -> None:
    given_urls = pa.array(urls, pa.string())
    keys = url_keys(given_urls)
    assert keys.to_pylist() == [normalized(url or "") or None for url in urls]
    for key in keys.drop_null():  # who has this key is among those that may have its host
        may = may_have_host(given_urls, hosts_of_keys(pa.array([key.as_py()])))
        assert not any(other == key and not near for other, near in zip(keys, may, strict=True))


def test_urls_of_other_hosts_are_not_looked_at() -> None:
    urls = ["http://a.example/1", "https://www.a.example/2", "http://b.example/", "http://A.example:80/", "urn:x"]
    hosts = hosts_of_keys(url_keys(pa.array(["https://a.example/9"])))
    assert may_have_host(pa.array(urls), hosts).tolist() == [True, True, False, True, True]


@pytest.mark.parametrize("threshold", ["0.9", "0.95", "0.999"])
def test_transitive_clusters_are_replayed(crawl: Path, tmp_path: Path, threshold: str) -> None:
    """At .9 a ~ b ~ c: c leaves for a, which it is unlike; without b, or at a higher threshold, it stays."""
    base = ["near.clusters=transitive", "near.threshold=0.8"]
    run = make_run(tmp_path / "run", crawl, base)
    for number, more in enumerate(([], ["gopher_quality.max_words=550"], ["gopher_quality.min_words=100"])):
        settings = [f"near.threshold={threshold}", *more]
        assert_exactly(whatif(run, settings), make_run(tmp_path / f"again-{number}", crawl, [*base, *settings]))


def test_without_verified_pairs_only_a_run_knows_a_threshold(crawl: Path, tmp_path: Path) -> None:
    base = ["near.clusters=transitive", "near.verify=none"]
    run = make_run(tmp_path / "run", crawl, base)
    assert_exactly(whatif(run, []), run)
    with pytest.raises(UserError, match=r"near\.threshold: the similarity of pairs was not measured; .* apply"):
        whatif(run, ["near.threshold=0.9"])
    with pytest.raises(UserError, match="near: other documents reach it, and of a bucket it keeps no more pairs than"):
        whatif(run, ["gopher_quality.max_words=250"])


PASSAGES = """
    source.web.kind = "warc"
    stage = [
        { kind = "page" },
        { kind = "extract", engine = "resiliparse" },
        { kind = "gopher_quality" },
        { kind = "minhash", name = "near", bands = 14, rows = 8, threshold = 0.9 },
        { kind = "substring", length = 40, min_chars = 400 },
        { kind = "url_dedup" },
    ]
"""


def test_passages_that_were_cut_leave_the_verdicts_of_addresses_as_they_were(crawl: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", crawl, recipe=PASSAGES)
    dropped = report_of(run)["dropped"]
    assert {"dedup.substring", "dedup.url", "dedup.near"} <= dropped.keys()
    assert_exactly(whatif(run, []), run)
    for number, settings in enumerate(
        (["gopher_quality.min_words=100"], ["gopher_quality.max_words=450"], ["near.threshold=0.999"])
    ):
        forecast = whatif(run, settings)
        report = report_of(make_run(tmp_path / f"again-{number}", crawl, settings, PASSAGES))
        assert forecast.cut_again
        assert forecast.least.documents <= report["documents"]["kept"] <= forecast.most.documents
        assert forecast.most.documents - forecast.least.documents <= dropped["dedup.substring"] + forecast.uncompared
        for stage, truth in zip(forecast.funnel, report["funnel"], strict=True):
            assert stage.least <= truth["documents"] <= stage.most, stage
        assert any("texts may be longer or shorter" in line for line in lines(forecast))


def test_what_reads_texts_that_are_cut_otherwise_is_left_to_a_run(crawl: Path, tmp_path: Path) -> None:
    recipe = PASSAGES.replace('"url_dedup" }', '"exact" }')
    run = make_run(tmp_path / "run", crawl, recipe=recipe)
    assert_exactly(whatif(run, []), run)
    with pytest.raises(UserError, match="substring: other documents reach it, and exact after it reads what it cuts"):
        whatif(run, ["gopher_quality.max_words=250"])


SCOPES = """
    [source.old]
    kind = "warc"
    paths = ["{crawl}"]
    [source.new]
    kind = "warc"
    paths = ["{other}"]
    [[stage]]
    kind = "extract"
    engine = "resiliparse"
    [[stage]]
    kind = "gopher_quality"
    max_words = 250
    [[stage]]
    kind = "exact"
    scope = "{scope}"
    [[stage]]
    kind = "url_dedup"
    scope = "{scope}"
"""


@pytest.mark.parametrize("scope", ["run", "source", "snapshot"])
def test_only_rows_of_one_scope_are_rivals(crawl: Path, tmp_path: Path, scope: str) -> None:
    other = Crawl()
    for number in range(3):  # the same addresses and texts as in the first source, as other records
        text = article(f"Page {number}", [*sentences(number), *sentences(number + 200)[:6]])
        other.page(f"https://long.example/{number}", text, record_id=f"<urn:o{number}>")
        other.page(f"https://www.long.example/{number}#top", text, record_id=f"<urn:p{number}>")
    path = other.write(tmp_path / "other" / "CC-MAIN-2024-10" / "a.warc.gz").parents[1]
    recipe = SCOPES.format(crawl=crawl, other=path, scope=scope)

    def made(name: str, *settings: str) -> Path:
        (tmp_path / f"{name}.toml").write_text(recipe)
        loaded = load_recipe(str(tmp_path / f"{name}.toml"), settings)
        execute(open_run(loaded, tmp_path / name), InProcess(), lambda _: None)
        return tmp_path / name

    run = made("run")
    assert_exactly(whatif(run, []), run)
    for number, setting in enumerate(("gopher_quality.max_words=false", "gopher_quality.min_words=200")):
        forecast = whatif(run, [setting])
        truth = report_of(made(f"again-{number}", setting))
        assert forecast.least.documents <= truth["documents"]["kept"] <= forecast.most.documents
        for stage, found in zip(forecast.funnel, truth["funnel"], strict=True):
            assert stage.least <= found["documents"] <= stage.most, stage


def change_ledger(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    for path in (run / "ledger").glob("*.arrow"):
        table = open_arrow(path).read_all()
        rows = table.to_pylist()
        for row in rows:
            change(row)
        with ArrowSink(path, table.schema) as sink:
            for batch in pa.Table.from_pylist(rows, table.schema).to_batches():
                sink.write(batch)


def test_who_left_for_a_document_of_another_run_leaves_again(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))

    def twin_elsewhere(row: dict[str, Any]) -> None:
        if row["drop_reasons"] in (["dedup.exact"], ["dedup.near"]):
            row["twin"] = "0" * 32

    change_ledger(copy, twin_elsewhere)
    edges = copy / "dedup" / "near" / "edges.arrow"
    table = read_table(edges)
    with ArrowSink(edges, table.schema) as sink:
        for batch in table.set_column(0, "id_a", pa.array(["0" * 32] * table.num_rows)).to_batches():
            sink.write(batch)
    forecast = whatif(copy, ["gopher_quality.min_words=150"])
    assert forecast.least == forecast.most
    after = {rule.reason: rule for rule in forecast.rules}
    assert after["gopher_quality.too_few_words"].before != after["gopher_quality.too_few_words"].after
    for reason in ("dedup.exact", "dedup.near"):
        assert after[reason].before == after[reason].after


def test_what_was_removed_on_request_stays_away(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))

    def request(row: dict[str, Any]) -> None:
        if row["url"] in ("https://near.example/long", "https://long.example/1"):
            row["drop_reasons"] = ["removed.request"]

    change_ledger(copy, request)
    forecast = whatif(copy, ["gopher_quality.max_words=250"])
    assert forecast.before.documents == whatif(run, []).before.documents - 2
    (rule,) = [rule for rule in forecast.rules if rule.reason == "removed.request"]
    assert rule.before == rule.after
    assert rule.after.documents == 2
    short = whatif(copy, ["near.threshold=0.8"])  # its copy stays away with it
    assert short.least == short.most == short.before


@pytest.mark.real
def test_real_pages_give_what_a_run_gives(real_data: Path, language_model: Path, tmp_path: Path) -> None:
    crawl = real_data / "crawl" / "part-00.warc.gz"
    engine = "extract.engine=resiliparse"

    def refinedweb(name: str, *settings: str) -> Path:
        from pipelines.recipe import recipe_text

        return make_run(tmp_path / name, crawl, [engine, *settings], recipe_text("refinedweb")[0])

    run = refinedweb("run")
    assert_exactly(whatif(run, []), run)
    tight = ["gopher_quality.min_words=500", "gopher_repetition.max_top_2gram_fraction=0.05", "language.min_score=0.9"]
    assert_exactly(whatif(run, tight), refinedweb("tight", *tight))
    loose = ["gopher_quality.min_words=10", "gopher_repetition.max_duplicate_line_fraction=false"]
    forecast = whatif(run, loose)
    kept = report_of(refinedweb("loose", *loose))["documents"]["kept"]
    assert forecast.before.documents < forecast.most.documents
    assert forecast.least.documents <= kept <= forecast.most.documents
    assert np.isclose(kept, forecast.most.documents, atol=5)
