"""The pages of a served run: an address and its parameters in, a page out. Nothing is written.

/           what ran and how far it is      /report     report.html as it stands in the folder
/ledger     rows by filter, sorted, paged   /explain    a document's life      /whatif    a forecast
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pipelines.ledger.rules import rules_of, stages_of
from pipelines.ledger.table import Ledger
from pipelines.ledger.values import shown_value
from pipelines.numbers import percent
from pipelines.replay.sweep import combinations
from pipelines.replay.whatif import forecast
from pipelines.report.model import read_report_file
from pipelines.report.page.environment import page_environment
from pipelines.report.partial import read_partial, render_partial
from pipelines.run.folder import RunFolder
from pipelines.serve.browse import DROPPED, PAGE_ROWS, Browser, Query
from pipelines.serve.parameters import query_of, query_parameters
from pipelines.verbs.explain import Explanation, explain
from pipelines.verbs.explain import lines as explain_lines
from pipelines.verbs.life import Life, life
from shards import mirror
from shards.errors import GristmillError
from shards.schema import KEPT

_EXAMPLES = 10  # documents that /whatif names of those gained, and of those lost
_MOST_FORECASTS = 20  # of one page

# Our pages have no script and fetch nothing; forms lead back here.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
# A report brings a policy of its own, by the digests of its scripts; this one is added to it.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Parameters = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    policy: str = POLICY
    media_type: str = "text/html; charset=utf-8"


class Site:
    """The pages of the run in a folder, finished or under way. Threads may share it."""

    def __init__(self, run: Path) -> None:
        self._run = RunFolder(run)
        self._browser: Browser | None = None
        self._pages: dict[str, Callable[[Parameters], Answer]] = {
            "": self._home,
            "report": self._report,
            "ledger": self._ledger,
            "explain": self._explain,
            "whatif": self._whatif,
        }

    def answer(self, path: str, parameters: Parameters) -> Answer:
        """The page of a path below the token; our errors are pages, too."""
        page = self._pages.get(path)
        if page is None:
            return self._message(404, "There is no such page.")
        if path in ("ledger", "explain", "whatif") and not self._run.is_done():
            return self._message(409, "The run is not finished: its ledger is written at its end.")
        try:
            return page(parameters)
        except GristmillError as error:
            return self._message(400, mirror.shown(str(error)))

    @cached_property
    def _environment(self) -> Any:
        environment = page_environment("pipelines.serve")
        environment.filters |= {"value": shown_value, "short": lambda name: name.rpartition(".")[2]}
        environment.globals |= {"run": str(self._run), "KEPT": KEPT}
        return environment

    def _page(self, template: str, *, status: int = 200, **values: Any) -> Answer:
        return Answer(status, self._environment.get_template(template).render(**values).encode(errors="replace"))

    def _message(self, status: int, message: str) -> Answer:
        return self._page("message.html.j2", status=status, message=message)

    def _home(self, _: Parameters) -> Answer:
        if not self._run.is_done():
            partial = read_partial(self._run)
            if partial is None:
                return self._message(200, "The run has begun; its first figures come with its first finished units.")
            return Answer(200, render_partial(partial).encode())
        report = read_report_file(self._run)
        return self._page(
            "home.html.j2",
            recipe=report.recipe,
            documents=report.documents,
            share=percent(report.documents.kept / report.documents.input if report.documents.input else None),
            alarms=[alarm.text for alarm in report.alarms],
            has_report=self._run.has(RunFolder.REPORT_PAGE),
        )

    def _report(self, _: Parameters) -> Answer:
        if not self._run.has(RunFolder.REPORT_PAGE):
            return self._message(404, f"The run has no report.html yet; gristmill report {self._run} writes it.")
        return Answer(200, mirror.read_bytes(self._run.path(RunFolder.REPORT_PAGE)), REPORT_POLICY)

    def _open(self) -> Browser:
        if self._browser is None:
            self._browser = Browser(Ledger.open(self._run.root))
        return self._browser

    def _ledger(self, parameters: Parameters) -> Answer:
        browser = self._open()
        query, number = query_of(parameters)
        matches = browser.matches(query)
        number = min(number, matches.pages - 1)
        names = browser.ledger.schema.names
        values = list(dict.fromkeys([r.column for r in query.ranges] + ([query.sort] if query.sort else [])))
        columns = dict.fromkeys(["id", "url", "drop_reasons", "text_chars", *values])
        shown = [*columns, *(["language"] if "language" in names and "language" not in columns else [])]
        recipe = browser.ledger.recipe
        reasons = [rule.reason for _, rule in rules_of(recipe)] + [s.reason for s in stages_of(recipe) if s.reason]

        def link(number: int, other: Query = query) -> str:
            return "ledger?" + urlencode(query_parameters(other, number))

        return self._page(
            "ledger.html.j2",
            query=query,
            rows=browser.page(query, number, shown),
            values=values,
            found=len(matches.rows),
            is_all=matches.is_all,
            total=browser.ledger.num_rows,
            first=number * PAGE_ROWS,
            pages=matches.pages,
            number=number,
            link=link,
            by=lambda column: link(
                0, replace(query, sort=column, descending=query.sort == column and not query.descending)
            ),
            fates=[KEPT, DROPPED, *dict.fromkeys(reasons)],
            numeric=browser.numeric,
        )

    def _explain(self, parameters: Parameters) -> Answer:
        wanted = _first(parameters, "document").strip()
        row = _first(parameters, "row")
        found: Explanation | None = None
        ledger = Ledger.open(self._run.root)
        if row.isdecimal() and int(row) < ledger.num_rows:
            (facts,) = ledger.rows([int(row)])
            found = Explanation(facts["id"], True, 1, (life(ledger, int(row), facts, with_text=True),))
        elif wanted:
            found = explain(self._run.root, wanted, with_text=True)
        details = [list(self._details(found, one)) for one in found.lives] if found else []
        return self._page("explain.html.j2", wanted=wanted, found=found, details=details)

    def _details(self, found: Explanation, one: Life) -> Iterator[str]:
        alone = replace(found, is_exact=True, records=1, lives=(replace(one, text=None),))
        return explain_lines(alone, self._run.root, everything=True)

    def _whatif(self, parameters: Parameters) -> Answer:
        settings = [line.strip() for text in parameters.get("set", []) for line in text.splitlines() if line.strip()]
        forecasts, error = [], ""
        try:
            given = list(combinations(settings)) if settings else []
            if len(given) > _MOST_FORECASTS:
                error = f"{len(given):,} combinations; ask for {_MOST_FORECASTS} at most"
            else:
                ledger = Ledger.open(self._run.root)
                forecasts = [forecast(ledger, one, examples=_EXAMPLES) for one in given]
        except GristmillError as refusal:
            error = mirror.shown(str(refusal))
        thresholds = _thresholds(self._run)
        return self._page("whatif.html.j2", settings=settings, forecasts=forecasts, error=error, thresholds=thresholds)


def _thresholds(run: RunFolder) -> list[tuple[str, Any]]:
    """(STAGE.KEY, value) of the settings that rules compare with, where it is one number."""
    found = {}
    for stage in run.recipe().local_stages():
        for rule in stage.rules():
            value = getattr(stage, rule.setting, None)
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[f"{stage.name}.{rule.setting}"] = value
    return list(found.items())


def _first(parameters: Parameters, name: str) -> str:
    return next(iter(parameters.get(name, [])), "")
