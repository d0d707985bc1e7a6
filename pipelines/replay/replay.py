"""Every document of a finished run through every stage once more, by what the ledger says of it.

Local stages decide by `pipelines.core`, as in the run; global ones by `global_replay`, where some documents are there
only perhaps. What nothing has changed is dropped as recorded, and costs a mask.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cleaners.language import LanguageConfig
from dedup.documents import describe, keep_order, parse_ids
from dedup.exact import ExactConfig
from dedup.keep import KeepBy
from dedup.lsh.edge_runs import EDGE
from dedup.minhash import MinHashConfig
from dedup.repeats.passages import PassagesConfig
from dedup.same_record import SameRecordConfig
from dedup.top_share import TopShareConfig
from dedup.url_dedup import UrlConfig as UrlDedupConfig
from pipelines.core import failing, metric_of
from pipelines.ledger.scopes import groups_of_rows
from pipelines.ledger.table import KEPT, Ledger, word_counts
from pipelines.ledger.url_keys import keys_of_rivals
from pipelines.recipe import AnyStage, Recipe
from pipelines.replay.forecast import Forecast, RuleChange, Size, StageChange
from pipelines.replay.global_replay import best_rows, connected_rows, equal_rows, near_rows
from shards.errors import RunError, UserError
from shards.exchange import ExchangeUnit, GlobalStageConfig
from shards.sink import read_table
from shards.stage import Rule, StageConfig

_REQUESTED = "removed.request"  # `gristmill index remove` took the row out of the finished run


@dataclass(frozen=True)
class Step:
    """A stage as the run had it, and its rules as they shall be."""

    config: AnyStage  # with the new settings
    pass_: int
    rules: tuple[Rule, ...]
    reasons: tuple[str, ...]  # before or after
    changed: bool


def steps_of(before: Recipe, after: Recipe) -> tuple[Step, ...]:
    steps = []
    for old, new in zip(before.passes(), after.passes(), strict=True):
        for was, now in zip(old.local, new.local, strict=True):
            reasons = dict.fromkeys(rule.reason for rule in (*was.rules(), *now.rules()))
            steps.append(Step(now, new.number, now.rules(), tuple(reasons), was != now))
        if new.number == 0:
            same = SameRecordConfig(name="same_record")
            steps.append(Step(same, 0, (), (same.reason,), changed=False))
        for first, then in zip(old.global_, new.global_, strict=True):
            steps.append(Step(then, new.number, (), (then.reason,), first != then))
    return tuple(steps)


class Replay:
    """Every document through every stage once more. Rows are those of the ledger.

    `sure` and `possible` are three-valued logic: not possible is dropped, possible and not sure is perhaps.
    """

    def __init__(self, ledger: Ledger, steps: tuple[Step, ...]) -> None:
        self._ledger, self._steps = ledger, steps
        self._reasons = [reason for step in steps for reason in step.reasons]
        if len(set(self._reasons)) < len(self._reasons):
            raise UserError(f"{ledger.run}: two stages drop with one reason, and the ledger cannot tell them apart")
        first = next((number for number, step in enumerate(steps) if step.changed), len(steps))
        columns = ["text_chars", *word_counts(ledger.schema.names), *self._columns(steps[first : first + 1])]
        ledger.load(columns)
        self._recorded = self._recorded_fates()
        step_of = np.repeat(np.arange(len(steps)), [len(step.reasons) for step in steps])
        # The step that dropped a row; KEPT is the last. Who was removed on request is not there from the start.
        requested = np.full(len(self._reasons) - len(step_of), -1)
        self._death = np.concatenate([step_of, requested, [len(steps)]])[self._recorded]
        self._measured_until = np.array([*map(self._last_step, range(len(steps))), len(steps)])[self._death]
        num_rows = len(self._recorded)
        self._fate = np.full(num_rows, KEPT, np.int16)
        self._sure, self._possible = np.ones((2, num_rows), np.bool_)
        self._drop(np.flatnonzero(self._death < 0), len(self._reasons) - 1)
        self._unmeasured, self._uncompared = np.zeros((2, num_rows), np.bool_)
        self._cut_again = False  # some texts may become longer or shorter
        self._funnel: list[StageChange] = []

    @staticmethod
    def _columns(steps: Sequence["Step"]) -> list[str]:
        """Those of the ledger that the rules of these steps look at."""
        rules = [rule for step in steps for rule in step.rules]
        derived = {_wanted(step.config) for step in steps}
        languages = ["language"] if derived - {""} or any(rule.language for rule in rules) else []
        return [*languages, *(rule.metric for rule in rules if rule.metric not in derived)]

    def _recorded_fates(self) -> np.ndarray:
        fates, names = self._ledger.fates()
        if _REQUESTED in names:
            self._reasons.append(_REQUESTED)
        if unknown := set(names) - set(self._reasons):
            raise RunError(f"{self._ledger.run}: its ledger has reasons that its recipe has not: {sorted(unknown)}")
        recorded: np.ndarray = np.array([*map(self._reasons.index, names), KEPT], np.int16)[fates]
        return recorded

    def _last_step(self, death: int) -> int:
        """The last step that measured rows dropped by step `death`: the next that stops, or the last of its pass."""
        last = death
        while not getattr(self._steps[last].config, "stops", False):
            if last + 1 == len(self._steps) or self._steps[last + 1].pass_ != self._steps[last].pass_:
                break
            if isinstance(self._steps[last + 1].config, GlobalStageConfig):
                break
            last += 1
        return last

    def decide(self) -> None:
        for number, step in enumerate(self._steps):
            if isinstance(step.config, StageConfig):
                self._local(number, step)
            else:
                self._global(number, step)
            counts = (int(np.count_nonzero(mask)) for mask in (self._death > number, self._sure, self._possible))
            self._funnel.append(StageChange(step.config.name, *counts))
        # Who comes back and has no text was never extracted.
        back = self._possible & (self._recorded != KEPT)
        back &= self._ledger.column("text_chars").is_null().to_numpy(zero_copy_only=False)
        self._doubt(back, self._unmeasured)

    def _local(self, number: int, step: Step) -> None:
        measured = self._measured_until >= number
        self._doubt(self._possible & ~measured, self._unmeasured)
        again = self._possible & measured
        if not step.changed:
            self._drop_recorded(number)
            again &= self._death < number
        rows = np.flatnonzero(again)
        if not len(rows):
            return
        # Who comes back is decided again at every stage further on that measured it: their columns are read at once.
        behind = [later for later in self._steps[number:] if later.pass_ == step.pass_]
        self._ledger.load(self._columns([step] if step.changed else behind))
        some = pa.array(rows) if len(rows) < len(again) else None

        def column(name: str) -> pa.Array:
            values = self._ledger.column("language" if name == _wanted(step.config) else name)
            values = values if some is None else values.take(some)
            return is_wanted(step.config, values) if name == _wanted(step.config) else values

        fate = np.full(len(rows), KEPT, np.int16)
        for rule in step.rules:
            fate[failing(metric_of(rule, column), rule) & (fate == KEPT)] = self._reasons.index(rule.reason)
        self._drop(rows[fate != KEPT], fate[fate != KEPT])

    def _global(self, number: int, step: Step) -> None:
        entered = self._death >= number  # in the run
        if not step.changed and np.array_equal(self._possible, entered) and np.array_equal(self._sure, entered):
            self._drop_recorded(number)
            return
        new = self._possible & ~entered
        config = step.config
        assert isinstance(config, GlobalStageConfig)
        self._drop_for_others(number, config)
        match config:
            case MinHashConfig():
                self._near(number, config, changed=step.changed)
                self._doubt(new & self._possible, self._uncompared)
            case PassagesConfig():
                self._passages(number, config, entered, new)
            case TopShareConfig():
                self._top_share(number, config)
            case ExactConfig():
                rows = np.flatnonzero(self._possible & entered)
                self._equal(number, rows, self._found_equal(number, rows), _keep_by(config))
                self._doubt(new, self._uncompared)
            case SameRecordConfig() | UrlDedupConfig():
                rows = np.flatnonzero(self._possible)
                if new.any():
                    self._equal(number, *self._rivals(config, rows, new | (self._death == number)), _keep_by(config))
                else:
                    self._equal(number, rows, self._found_equal(number, rows), _keep_by(config))
                if getattr(config, "index", None) is not None:
                    self._doubt(new & self._possible, self._uncompared)
            case _:
                raise UserError(f"{config.name}: other documents reach it; only a run with these settings decides them")

    def _drop(self, rows: np.ndarray, fate: np.ndarray | int) -> None:
        self._fate[rows] = fate
        self._sure[rows] = self._possible[rows] = False

    def _drop_recorded(self, number: int) -> None:
        rows = np.flatnonzero(self._possible & (self._death == number))
        self._drop(rows, self._recorded[rows])

    def _doubt(self, rows: np.ndarray, cause: np.ndarray) -> None:
        self._sure[rows] = False
        cause[rows] = True

    def _rivals(self, config: GlobalStageConfig, rows: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows, groups): those of `rows` that equal one of the rows `asked`, by what the stage compares."""
        if isinstance(config, SameRecordConfig):
            rows = np.concatenate([rows[asked[rows]], rows[~asked[rows]]])
            keys = self._ledger.column("id").take(pa.array(rows))
        else:
            mask = np.zeros(len(asked), np.bool_)
            mask[rows] = True
            parts = self._ledger.parts("url")
            urls = [part.filter(pa.array(mask[first : first + len(part)])) for first, part in parts]
            places, keys = keys_of_rivals(pa.concat_arrays(urls), asked[rows])
            rows = rows[places]
        wanted = keys[: np.count_nonzero(asked[rows])].drop_null()
        equal = pc.index_in(keys, value_set=wanted)
        rows, groups = rows[equal.is_valid().to_numpy(zero_copy_only=False)], equal.drop_null().to_numpy()
        if config.scope != "run":
            scopes = groups_of_rows(self._ledger, config.scope)
            groups = np.unique(groups * (scopes.max(initial=0) + 1) + scopes[rows], return_inverse=True)[1]
        return rows, groups

    def _found_equal(self, number: int, rows: np.ndarray) -> np.ndarray:
        """A group for each row: equal are those that the run found so, by their twins."""
        groups = rows.copy()
        removed = self._death[rows] == number
        groups[removed] = self._twins(number, rows[removed])
        return groups

    def _drop_for_others(self, number: int, config: GlobalStageConfig) -> None:
        """Who left for a document of another run, or for one that was removed on request, leaves again."""
        rows = np.flatnonzero(self._possible & (self._death == number))
        rows = rows[self._ledger.column("twin").take(pa.array(rows)).is_valid().to_numpy(zero_copy_only=False)]
        twins = self._ledger.column("twin").take(pa.array(rows))
        rows = rows[self._ledger.find(twins, self._death > number) < 0]
        if isinstance(config, MinHashConfig) and len(rows):
            similarity = self._ledger.column("similarity").take(pa.array(rows))
            rows = rows[pc.fill_null(pc.greater_equal(similarity, config.threshold), True).to_numpy(False)]
        self._drop(rows, self._recorded[rows])

    def _equal(self, number: int, rows: np.ndarray, groups: np.ndarray, keep: KeepBy) -> None:
        """The first of each group stays."""
        several = np.bincount(groups)[groups] > 1
        rows, groups = rows[several], groups[several]
        if not len(rows):
            return
        order = keep_order(self._documents(rows, keep))
        order = order[np.argsort(groups[order], kind="stable")]
        rows, groups = rows[order], groups[order]
        self._settle(number, rows, *equal_rows(groups, self._sure[rows]))

    def _settle(self, number: int, rows: np.ndarray, gone: np.ndarray, unsure: np.ndarray) -> None:
        """What a global stage makes of `rows`: these leave, and those stay in one case and leave in another."""
        self._drop(rows[gone], self._recorded_reason(number))
        self._sure[rows[unsure]] = False

    def _recorded_reason(self, number: int) -> int:
        (reason,) = self._steps[number].reasons
        return self._reasons.index(reason)

    def _twins(self, number: int, removed: np.ndarray) -> np.ndarray:
        twins = self._ledger.column("twin").take(pa.array(removed))
        found = self._ledger.find(twins, self._death > number)
        assert (found >= 0).all(), "a removed document's twin passed the stage, or was left out by `_drop_for_others`"
        return found

    def _documents(self, rows: np.ndarray, keep: KeepBy) -> np.ndarray:
        """DOCUMENT[rows], from which `keep_order` follows as in the run."""
        by_length = keep.policy == "longest"
        names = ["id", *([] if by_length else keep.columns())]
        batch = pa.RecordBatch.from_arrays([self._ledger.column(n).take(pa.array(rows)) for n in names], names=names)
        documents = describe(ExchangeUnit(0, "", Path()), rows, batch, KeepBy("first") if by_length else keep)
        if by_length:
            documents["order"] = -self._ledger.counts("text_chars")[rows]
        return documents

    def _near(self, number: int, config: MinHashConfig, *, changed: bool) -> None:
        """Leaders or components once more, over the pairs that the run verified."""
        table = read_table(self._ledger.run / "dedup" / config.name / "edges.arrow")
        if changed:
            table = table.filter(pc.greater_equal(table["similarity"], config.threshold))
        ends = pa.chunked_array([*table["id_a"].chunks, *table["id_b"].chunks], pa.string()).combine_chunks()
        found = self._ledger.find(ends, self._death >= number).reshape(2, -1)
        here = (found >= 0).all(axis=0)  # the others are of another run
        rows, places = np.unique(found[:, here], return_inverse=True)
        if not changed and self._sure[rows].all():
            self._drop_recorded(number)  # all that were alike are there still
            return
        if config.verify == "none":
            raise UserError(
                f"{config.name}: other documents reach it, and of a bucket it keeps no more pairs than connect it; "
                "only a run with these settings decides them"
            )
        edges = np.zeros(int(here.sum()), EDGE)
        edges["first"], edges["second"] = places.reshape(2, -1)
        edges["similarity"] = pc.fill_null(table["similarity"].cast(pa.float64()), 0.0).to_numpy()[here]
        sure, possible = self._sure[rows], self._possible[rows]
        if config.clusters == "transitive":
            rank = np.empty(len(rows), np.int64)
            rank[keep_order(self._documents(rows, config.keep_by))] = np.arange(len(rows))
            gone, unsure, uncompared = connected_rows(edges, rank, sure, possible)
        else:
            gone, unsure, uncompared = near_rows(edges, self._ids(rows), sure, possible)
        self._settle(number, rows, gone, unsure)
        self._doubt(rows[uncompared], self._uncompared)

    def _passages(self, number: int, config: PassagesConfig, entered: np.ndarray, new: np.ndarray) -> None:
        """With fewer documents fewer passages are repeated: who passed passes still, who left comes back perhaps."""
        for step in self._steps[number + 1 :]:
            if isinstance(step.config, GlobalStageConfig) and not isinstance(step.config, UrlDedupConfig):
                raise UserError(
                    f"{config.name}: other documents reach it, and {step.config.name} behind it reads what it cuts; "
                    "only a run with these settings decides them"
                )
        left = self._possible & (self._death == number)
        if (entered & ~self._sure).any():
            self._doubt(left, self._uncompared)
        else:
            self._drop_recorded(number)
        self._doubt(new, self._uncompared)
        self._cut_again = config.cuts
        if config.cuts and any(step.rules for step in self._steps[number + 1 :]):
            spans = self._ledger.counts(f"{config.name}.spans") > 0
            self._doubt(self._possible & spans, self._unmeasured)

    def _top_share(self, number: int, config: TopShareConfig) -> None:
        """Who stays of the rows with a value; in others it was not measured, or may be any where it has still to be."""
        values = self._ledger.column(config.metric)
        known = values.is_valid().to_numpy(zero_copy_only=False)
        gives = next(n for n, step in enumerate(self._steps) if config.metric in _columns_of(step.config))
        unknown = self._possible & ~known & (self._measured_until < gives)
        scopes = groups_of_rows(self._ledger, config.scope)
        for group in np.unique(scopes):
            rows = np.flatnonzero(self._possible & known & (scopes == group))
            ranked = pc.cast(values.take(pa.array(rows)), pa.float64()).to_numpy()
            num_unknown = int(np.count_nonzero(unknown & (scopes == group)))
            found = best_rows(ranked, self._sure[rows], config.kept_fraction, partial(self._ids_of, rows), num_unknown)
            self._settle(number, rows, *found)

    def _ids_of(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        return self._ids(rows[places])

    def _ids(self, rows: np.ndarray) -> np.ndarray:
        return parse_ids(self._ledger.column("id").take(pa.array(rows)))

    def forecast(self, changes: tuple[str, ...], exact: str) -> Forecast:
        counted = self._ledger.counts("text_chars"), self._ledger.words()
        weights = [counts.astype(np.float64) for counts in counted if counts is not None]
        num_reasons = len(self._reasons)

        def sizes(fates: np.ndarray) -> list[Size]:
            """Of the kept, by reason, and last of those that may be either."""
            sums = np.array([np.bincount(fates + np.int16(1), w, num_reasons + 2) for w in (None, *weights)])
            return [Size(*map(int, column)) for column in sums.T]

        kept, *dropped, _ = sizes(self._recorded)
        least, *then, perhaps = sizes(np.where(self._possible & ~self._sure, np.int16(num_reasons), self._fate))
        rules = [RuleChange(*row) for row in zip(self._reasons, dropped, then, strict=True)]
        most = Size(*(low + more for low, more in zip(astuple(least), astuple(perhaps), strict=True)))
        return Forecast(
            changes,
            tuple(rule for rule in rules if rule.before.documents or rule.after.documents),
            tuple(self._funnel),
            kept,
            least,
            most,
            int(np.count_nonzero(self._unmeasured & self._possible)),
            int(np.count_nonzero(self._uncompared & self._possible & ~self._unmeasured)),
            exact,
            self._cut_again,
        )


def _keep_by(config: ExactConfig | SameRecordConfig | UrlDedupConfig) -> KeepBy:
    if isinstance(config, SameRecordConfig):
        return KeepBy("first")
    return getattr(config, "keep_by", None) or KeepBy(config.keep)


def _columns_of(config: AnyStage) -> list[str]:
    return config.columns().names if isinstance(config, StageConfig) else []


def _wanted(config: AnyStage) -> str:
    """The metric of a language stage that is no measurement but follows from its settings; "" for other stages."""
    return f"{config.name}.is_wanted" if isinstance(config, LanguageConfig) else ""


def is_wanted(config: AnyStage, languages: pa.Array) -> pa.Array:
    """That metric for these languages: 0 or 1, null where no language was found."""
    assert isinstance(config, LanguageConfig)
    chosen = pc.is_in(languages, value_set=pa.array(config.languages, pa.string())) if config.languages else (
        pc.is_valid(languages))  # fmt: skip
    return pc.if_else(pc.is_valid(languages), chosen.cast(pa.int64()), pa.scalar(None, pa.int64()))
