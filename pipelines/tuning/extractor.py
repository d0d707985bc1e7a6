"""Score extraction engines on labelled pages, and train our own."""

import importlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cleaners.engines import ENGINES
from cleaners.extraction.model import model_path
from cleaners.extraction.training.pages import Tell, TruthPage, crawl_pages, num_pages, own_pages, read_truth
from cleaners.extraction.training.score import Engine, Scores, difference
from shards.atomic import try_folder
from shards.errors import RunError, UserError

_EVERY = 200  # pages between lines of progress


def engine_of(name: str) -> Engine:
    """An engine by its name, or a function `module:function` of HTML and URL."""
    if ":" in name:
        module, _, function = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(f"{name}: no such function ({error}); give module:function of HTML and URL") from None
        if not callable(found):
            raise UserError(f"{name}: is no function; give module:function of HTML and URL")
        return lambda html, url: str(found(html, url) or "")
    if name not in ENGINES:
        raise UserError(f"{name}: no such engine; there are {', '.join(ENGINES)}, and module:function of your own")
    return lambda html, url: ENGINES[name](html, url, favour="balanced")


def score(names: Sequence[str], warcs: Sequence[str], truth: Path, tell: Tell) -> dict[str, Any]:
    """Summaries by engine; of each behind the first, what the first is better by."""
    engines = {name: engine_of(name) for name in names}
    scores = {name: Scores() for name in names}
    wanted = read_truth(truth)
    done = 0
    for page in labelled_pages(warcs, wanted, str(truth), tell):
        for name, engine in engines.items():
            try:
                scores[name].add(engine, page.html, page.url, page.truth)
            except Exception as error:
                raise UserError(f"{page.url}: {name} failed on it ({type(error).__name__}: {error})") from error
        done += 1
        if done % _EVERY == 0:
            tell(f"{done:,} of {len(wanted):,} pages")
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


def labelled_pages(
    warcs: Sequence[str], truth: Sequence[dict[str, Any]], where: str, tell: Tell
) -> Iterator[TruthPage]:
    """By the `html` that a line brings, or from the WARC files; UserError, which names `where`, if there is none."""
    own = own_pages(truth)
    if not warcs and not own:
        raise UserError(f"{where}: no line brings its `html`; give the crawl with --warc")
    yield from own
    if not warcs:
        return
    elsewhere = [page for page in truth if page.get("html") is None]
    if twice := [url for url, lines in Counter(page["url"] for page in elsewhere).items() if lines > 1]:
        tell(f"{where}: names {len(twice):,} addresses twice ({twice[0]}); the last line of each counts")
    damage: list[str] = []

    def damaged(line: str) -> None:
        damage.append(line)
        tell(line)

    found = len(own)
    for page in crawl_pages(warcs, elsewhere, damaged):
        found += 1
        yield page
    if not found:
        cause = damage[0] if damage else "are they of another crawl?"
        raise UserError(f"{where}: none of its {len(truth):,} pages is in the WARC files; {cause}")


def train(
    labelled: Sequence[Path],
    warcs: Sequence[str],
    folder: Path,
    sets: Sequence[str],
    tell: Tell,
) -> tuple[Path, dict[str, Any]]:
    """Train on the pages of the files of truth, from the WARC files or by their own `html`; (model, its card).

    A page that more than one file names is labelled by the last of them."""
    try:
        import lightgbm  # noqa: F401
    except ImportError:
        raise UserError("training needs LightGBM: pip install 'gristmill[extractor]'") from None
    from cleaners.extraction.training.fit import TrainingSettings
    from cleaners.extraction.training.train import data_cards, prepared_pages, train_extractor
    from pipelines.tuning.extractor_report import write_report

    pages: list[dict[str, Any]] = []
    for path in labelled:
        truth = read_truth(path)
        named = {page["url"] for page in truth}
        found = [page for page in truth if not sets or page.get("set") in sets]
        if not found:
            raise UserError(f"{path}: has no page of the sets {', '.join(sets)}")
        pages = [page for page in pages if page["url"] not in named] + found
    _check_folder(folder)
    where = ", ".join(map(str, labelled))
    prepared = prepared_pages(labelled_pages(warcs, pages, where, tell), num_pages(pages), tell)
    try:
        model, card = train_extractor(prepared, folder, TrainingSettings(), data_cards(prepared), tell)
        write_report(model.with_suffix(".html"), card)
    except RunError as error:
        if not isinstance(cause := error.__cause__, OSError):
            raise
        told = f"--out {folder}: the model cannot be written ({cause.strerror or cause}); make room and train again"
        raise RunError(told) from error  # that of a run says that it resumes, which training does not
    return model, card


def _check_folder(folder: Path) -> None:
    """What cannot be saved is not trained."""
    try:
        try_folder(folder)
    except OSError as error:
        cause = "is no folder" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"--out {folder}: cannot be written to ({cause}); give another folder") from None
