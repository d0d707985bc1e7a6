"""`gristmill extractor`: score extraction engines on labelled pages, and train our own."""

import importlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cleaners.engines import ENGINES
from cleaners.extraction.model import model_path
from cleaners.extraction.training.pages import Tell, TruthPage, crawl_pages, num_pages, own_pages, read_truth
from cleaners.extraction.training.score import Engine, Scores, difference
from pipelines.lines import Line, Table
from pipelines.numbers import counted
from shards.atomic import try_folder
from shards.errors import RunError, UserError

_PAGES_A_LINE = 200  # between two lines of progress
_NAME = re.compile(r"\w{1,40}", re.ASCII)  # a dash ends it in the name of the file


def engine_of(name: str) -> Engine:
    """An engine by its name, or the user's own by `module:function`, a function of HTML and URL."""
    if ":" in name:
        return _user_engine(name)
    if name not in ENGINES:
        raise UserError(f"{name}: no such engine; there are {', '.join(ENGINES)}, and module:function of your own")
    return lambda html, url: ENGINES[name](html, url, favour="balanced")


def score_engines(names: Sequence[str], warcs: Sequence[str], truth: Path, report: Tell) -> dict[str, Any]:
    """Summaries by engine. All but the first also say by how much the first is better."""
    engines = {name: engine_of(name) for name in names}
    scores = {name: Scores() for name in names}
    wanted = read_truth(truth)
    done = 0
    for page in labelled_pages(warcs, wanted, str(truth), report):
        for name, engine in engines.items():
            scores[name].add(engine, page.html, page.url, page.truth)
        done += 1
        if done % _PAGES_A_LINE == 0:
            report(f"{done:,} of {counted(len(wanted), 'page')}")
    first = scores[names[0]]
    out: dict[str, Any] = {"missing": num_pages(wanted) - done}
    for name in names:
        out[name] = scores[name].summary()
        if name == "gristmill":
            card = json.loads(model_path().with_suffix(".json").read_bytes())
            out[name]["trained_on"] = sorted(set(out[name]["sets"]) & {data["set"] for data in card["data"]} - {""})
            out[name]["f1_across_folds"] = card["f1_across_folds"]
        if name != names[0]:
            out[name]["behind_first"] = difference(first.pages, scores[name].pages)
    return out


def scores_as_json(names: Sequence[str], scores: Mapping[str, Any]) -> str:
    """The first engine's summary, with the others inside it by name."""
    return json.dumps(scores[names[0]] | {k: v for k, v in scores.items() if k != names[0]}, ensure_ascii=False)


def score_lines(names: Sequence[str], scores: Mapping[str, Any]) -> Iterator[Line]:
    """A table with a column for each engine, the differences to the first, and what limits the comparison."""
    yield Table(("", *names), tuple(_rows([scores[name] for name in names])), ruled=True)
    for name in names[1:]:
        lead = scores[name]["behind_first"]
        if lead["f1"] is not None and lead["f1_interval"]:
            low, high = lead["f1_interval"]
            yield f"{names[0]} − {name}: {lead['f1']:+.3f}, 95 % of hosts drawn anew [{low:+.3f}, {high:+.3f}]"
    for name in names:
        if sets := scores[name].get("trained_on"):
            yield f"{name} was trained on {', '.join(sets)}: see its card for F1 on pages that it had not seen"
    if scores["missing"]:
        yield f"pages of the truth that are neither in the WARC files nor brought as html: {scores['missing']:,}"


def labelled_pages(
    warcs: Sequence[str], truth: Sequence[dict[str, Any]], where: str, report: Tell
) -> Iterator[TruthPage]:
    """The pages of `truth`, by the `html` of their lines or from the WARC files. `where` begins the messages.

    UserError if there is none.
    """
    own = own_pages(truth)
    if not warcs and not own:
        raise UserError(f"{where}: no line brings its `html`; give the crawl with --warc")
    yield from own
    if not warcs:
        return
    elsewhere = [page for page in truth if page.get("html") is None]
    if twice := [url for url, lines in Counter(page["url"] for page in elsewhere).items() if lines > 1]:
        report(f"{where}: names {counted(len(twice), 'URL')} twice ({twice[0]}); the last line of each counts")
    damage: list[str] = []

    def report_damage(line: str) -> None:
        damage.append(line)
        report(line)

    num_read = len(own)
    for page in crawl_pages(warcs, elsewhere, report_damage):
        num_read += 1
        yield page
    if not num_read:
        cause = damage[0] if damage else "are they of another crawl?"
        raise UserError(f"{where}: none of its pages ({len(truth):,}) is in the WARC files; {cause}")


def train_extractor(
    labelled: Sequence[Path],
    warcs: Sequence[str],
    folder: Path,
    sets: Sequence[str],
    without: Sequence[str],
    name: str,
    report: Tell,
) -> tuple[Path, dict[str, Any]]:
    """Train on labelled pages from the WARC files or by their own `html`; return the model's path and its card.

    Only pages of `sets` count, if there are any, and none of those in `without`.

    A page that several of the files `labelled` name has the label of the last of them.
    """
    try:
        import lightgbm  # noqa: F401
    except ImportError:
        raise UserError("training needs LightGBM: pip install 'gristmill[extractor]'") from None
    from cleaners.extraction.training import train
    from cleaners.extraction.training.fit import TrainingSettings
    from cleaners.extraction.training.train import data_cards, prepared_pages
    from pipelines.tuning.extractor_report import write_report

    pages: list[dict[str, Any]] = []
    known: set[str] = set()
    for path in labelled:
        truth = read_truth(path)
        named = {page["url"] for page in truth}
        wanted = [page for page in truth if (not sets or _set(page) in sets) and _set(page) not in without]
        if not wanted and not without:
            raise UserError(f"{path}: has no page of the sets {', '.join(sets)}")
        pages = [page for page in pages if page["url"] not in named] + wanted
        known |= set(map(_set, truth))
    if unknown := sorted({*without} - known):
        raise UserError(f"--without {unknown[0]}: no page is of this set; there are {', '.join(sorted(known))}")
    if not pages:
        raise UserError(f"no page is left: all are of the sets that --without names ({', '.join(without)})")
    if not _NAME.fullmatch(name):
        raise UserError(f"--name {name}: a name has 1 to 40 ASCII letters, digits or underscores")
    _check_folder(folder)
    where = ", ".join(map(str, labelled))
    prepared = prepared_pages(labelled_pages(warcs, pages, where, report), num_pages(pages), report)
    try:
        model, card = train.train_extractor(prepared, folder, TrainingSettings(), data_cards(prepared), report, name)
        write_report(model.with_suffix(".html"), card)
    except RunError as error:
        if not isinstance(cause := error.__cause__, OSError):
            raise
        # The message of a run would say that the same command resumes, which training does not.
        message = f"--out {folder}: the model cannot be written ({cause.strerror or cause}); make room and train again"
        raise RunError(message) from error
    return model, card


def _set(page: Mapping[str, Any]) -> str:
    return str(page.get("set") or "")


def training_lines(model: Path, card: Mapping[str, Any]) -> Iterator[str]:
    """F1 of a new model by type of page and in all."""
    for kind, scores in card["by_type"].items():
        yield f"{kind}: F1 {scores['f1']:.3f} of {counted(scores['pages'], 'page')}"
    if card["f1_across_folds"] is None:
        yield "no F1: the pages are labelled by snippets alone, and none has its main text"
    else:
        yield f"F1 {card['f1_across_folds']:.4f}, each page by a model that saw none of its host"
    yield f"wrote {model}, its card and {model.with_suffix('.html').name}"


def _user_engine(name: str) -> Engine:
    module, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{name}: no such function ({error}); give module:function of HTML and URL") from None
    if not callable(function):
        raise UserError(f"{name}: is no function; give module:function of HTML and URL")

    def engine(html: str, url: str) -> str:
        try:
            return str(function(html, url) or "")
        except Exception as error:
            raise UserError(f"{url}: {name} failed on it ({type(error).__name__}: {error})") from error

    return engine


def _rows(summaries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """F1 of all pages, F1 or accuracy by type, set, language and length of label, and time; a column a summary."""

    def row(title: str, value: Callable[[Any], float | None], digits: int = 3) -> tuple[str, ...]:
        values = map(value, summaries)
        return title, *("–" if number is None else f"{number:.{digits}f}" for number in values)

    yield row("F1", lambda summary: summary["f1"])
    for key in ("types", "sets", "languages", "lengths"):
        for kind, scores in summaries[0][key].items():
            if "f1" in scores:
                yield row(f"{kind} ({scores['pages']:,})", lambda s, key=key, kind=kind: s[key][kind].get("f1"))  # type: ignore[misc]
            if key == "sets" and "accuracy" in scores:
                yield row(f"{kind}, snippets", lambda s, key=key, kind=kind: s[key][kind]["accuracy"])  # type: ignore[misc]
    yield row("ms a page", lambda summary: summary["ms_per_page"], 2)
    yield row("first call, s", lambda summary: summary["first_call_s"], 2)


def _check_folder(folder: Path) -> None:
    """Raise UserError where no model could be saved, before it is trained."""
    try:
        try_folder(folder)
    except OSError as error:
        cause = "is no folder" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"--out {folder}: cannot be written to ({cause}); give another folder") from None
