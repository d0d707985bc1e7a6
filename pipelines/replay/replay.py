"""Every document of a finished run through every stage once more, by what the ledger says of it.

    for each stage, in order:   nothing changed before it    dropped as recorded: a mask
                                local                        its rules decide again (`pipelines.core`)
                                global                       the stage decides again (`GlobalStageConfig.replay`)

Where a row needs a metric that the run never measured, nobody knows its fate: see `shards.replay` for the three states
of a row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pipelines.core import failing, languages_of, metric_of
from pipelines.ledger.scopes import groups_of_rows
from pipelines.ledger.table import NOT_DROPPED, Ledger, word_counts
from pipelines.recipe import AnyStage, Recipe
from shards.errors import RunError, UserError
from shards.exchange import EDGES_FILE, GlobalStageConfig
from shards.replay import Cause
from shards.sink import read_table
from shards.stage import Rule, StageConfig

_REQUESTED = "removed.request"  # reason of rows that `gristmill index remove` took out of the finished run


@dataclass(frozen=True)
class Step:
    """A stage with its new settings, and what it decides by."""

    config: AnyStage
    pass_: int
    rules: tuple[Rule, ...]  # by the new settings
    reasons: tuple[str, ...]  # by the settings of the run or by the new ones
    changed: bool


@dataclass(frozen=True)
class StageChange:
    """The number of documents after a stage."""

    stage: str
    before: int
    least: int
    most: int


def steps_of(before: Recipe, after: Recipe) -> tuple[Step, ...]:
    """The stages of a run in the order in which they decide."""
    steps = []
    for old, new in zip(before.passes(), after.passes(), strict=True):
        for was, now in zip(old.local, new.local, strict=True):
            reasons = dict.fromkeys(rule.reason for rule in (*was.rules(), *now.rules()))
            steps.append(Step(now, new.number, now.rules(), tuple(reasons), was != now))
        for first, then in zip(old.global_, new.global_, strict=True):
            steps.append(Step(then, new.number, (), (then.reason,), first != then))
    return tuple(steps)


class Replay:
    """The fate of every row of the ledger after each step."""

    def __init__(self, ledger: Ledger, steps: tuple[Step, ...]) -> None:
        self.ledger, self.steps = ledger, steps
        self.reasons = [reason for step in steps for reason in step.reasons]
        if len(set(self.reasons)) < len(self.reasons):
            raise UserError(f"{ledger.run}: two stages drop with one reason, and the ledger cannot tell them apart")
        first = next((number for number, step in enumerate(steps) if step.changed), len(steps))
        columns = ["text_chars", *word_counts(ledger.schema.names), *self._columns(steps[first : first + 1])]
        ledger.load(columns)
        self._recorded = self._recorded_fates()
        step_of = np.repeat(np.arange(len(steps)), [len(step.reasons) for step in steps])
        # The step that dropped a row; the last number is of kept rows, -1 of rows removed on request, which take part
        # in nothing.
        requested = np.full(len(self.reasons) - len(step_of), -1)
        self.dropped_at = np.concatenate([step_of, requested, [len(steps)]])[self._recorded]
        self.measured_until = np.array([*map(self._last_measuring, range(len(steps))), len(steps)])[self.dropped_at]
        num_rows = len(self._recorded)
        self._fate = np.full(num_rows, NOT_DROPPED, np.int16)
        self.sure, self.possible = np.ones((2, num_rows), np.bool_)
        self._drop(np.flatnonzero(self.dropped_at < 0), len(self.reasons) - 1)
        self._doubtful: dict[Cause, np.ndarray] = {
            "unmeasured": np.zeros(num_rows, np.bool_),
            "uncompared": np.zeros(num_rows, np.bool_),
        }
        self.texts_change = False
        self._funnel: list[StageChange] = []

    def _columns(self, steps: Sequence[Step]) -> list[str]:
        """The columns of the ledger that the rules of these steps compare."""
        rules = [rule for step in steps for rule in step.rules]
        local = (step.config for step in steps if isinstance(step.config, StageConfig))
        derived = {metric: follows for config in local for metric, follows in config.derived().items()}
        by_language = any(rule.language or rule.by_language for rule in rules)
        languages = ["language"] if by_language and "language" in self.ledger.schema.names else []
        return [*languages, *(derived[r.metric].source if r.metric in derived else r.metric for r in rules)]

    def _recorded_fates(self) -> np.ndarray:
        fates, names = self.ledger.fates()
        if _REQUESTED in names:
            self.reasons.append(_REQUESTED)
        if unknown := set(names) - set(self.reasons):
            raise RunError(f"{self.ledger.run}: its ledger has reasons that its recipe has not: {sorted(unknown)}")
        recorded: np.ndarray = np.array([*map(self.reasons.index, names), NOT_DROPPED], np.int16)[fates]
        return recorded

    def _last_measuring(self, number: int) -> int:
        """The last step that measured rows dropped by step `number`: the next that stops, or the last of its pass."""
        for last in range(number, len(self.steps)):
            config, later = self.steps[last].config, self.steps[last + 1 : last + 2]
            if isinstance(config, StageConfig) and config.stops:
                return last
            if not later or later[0].pass_ != self.steps[last].pass_ or isinstance(later[0].config, GlobalStageConfig):
                return last
        raise AssertionError("the last step has no later one")

    def decide(self) -> None:
        for number, step in enumerate(self.steps):
            if isinstance(step.config, StageConfig):
                self._local(number, step, step.config)
            else:
                self._global(number, step, step.config)
            counts = (int(np.count_nonzero(mask)) for mask in (self.dropped_at > number, self.sure, self.possible))
            self._funnel.append(StageChange(step.config.name, *counts))
        # Rows that come back and have no text were never extracted.
        back = self.possible & (self._recorded != NOT_DROPPED)
        back &= self.ledger.column("text_chars").is_null().to_numpy(zero_copy_only=False)
        self.doubt(back, "unmeasured")

    def _local(self, number: int, step: Step, config: StageConfig) -> None:
        measured = self.measured_until >= number
        self.doubt(self.possible & ~measured, "unmeasured")
        again = self.possible & measured
        if not step.changed:
            self.drop_recorded(number)
            again &= self.dropped_at < number
        rows = np.flatnonzero(again)
        if not len(rows):
            return
        # Rows that come back are decided again by every later stage that measured them: read their columns together.
        later = [other for other in self.steps[number:] if other.pass_ == step.pass_]
        self.ledger.load(self._columns([step] if step.changed else later))
        some, derived = pa.array(rows) if len(rows) < len(again) else None, config.derived()

        def column(name: str) -> pa.Array:
            values = self.ledger.column(derived[name].source if name in derived else name)
            values = values if some is None else values.take(some)
            return derived[name].compute(values) if name in derived else values

        fate = np.full(len(rows), NOT_DROPPED, np.int16)
        by_language = any(rule.by_language for rule in step.rules)
        languages = languages_of(self.ledger.schema.names, column) if by_language else None
        for rule in step.rules:
            fails = failing(metric_of(rule, column), rule, languages)
            fate[fails & (fate == NOT_DROPPED)] = self.reasons.index(rule.reason)
        self._drop(rows[fate != NOT_DROPPED], fate[fate != NOT_DROPPED])

    def _global(self, number: int, step: Step, config: GlobalStageConfig) -> None:
        entered = self.dropped_at >= number
        if not step.changed and np.array_equal(self.possible, entered) and np.array_equal(self.sure, entered):
            self.drop_recorded(number)
            return
        config.replay(_AtStage(self, number), changed=step.changed)

    def _drop(self, rows: np.ndarray, fate: np.ndarray | int) -> None:
        self._fate[rows] = fate
        self.sure[rows] = self.possible[rows] = False

    def drop(self, number: int, rows: np.ndarray) -> None:
        """Rows that the global stage of step `number` removes."""
        (reason,) = self.steps[number].reasons
        self._drop(rows, self.reasons.index(reason))

    def drop_recorded(self, number: int) -> None:
        """Possible rows that step `number` dropped in the run, for the same reasons."""
        rows = np.flatnonzero(self.possible & (self.dropped_at == number))
        self._drop(rows, self._recorded[rows])

    def doubt(self, rows: np.ndarray, cause: Cause) -> None:
        self.sure[rows] = False
        self._doubtful[cause][rows] = True

    def funnel(self) -> tuple[StageChange, ...]:
        return tuple(self._funnel)

    def fates(self) -> tuple[np.ndarray, np.ndarray]:
        """(recorded, decided again), i16[rows]: indices into `reasons`, NOT_DROPPED, or len(reasons) where doubtful."""
        doubtful = self.possible & ~self.sure
        return self._recorded, np.where(doubtful, np.int16(len(self.reasons)), self._fate)

    def doubtful(self) -> tuple[int, int]:
        """(rows that a later stage must measure, rows that deduplication must compare) before anybody knows."""
        unmeasured, uncompared = self._doubtful["unmeasured"], self._doubtful["uncompared"]
        return (
            int(np.count_nonzero(unmeasured & self.possible)),
            int(np.count_nonzero(uncompared & self.possible & ~unmeasured)),
        )


class _AtStage:
    """The replay as the global stage of one step sees it: `shards.replay.FinishedRun`."""

    def __init__(self, replay: Replay, number: int) -> None:
        self._replay, self._number = replay, number
        config = replay.steps[number].config
        assert isinstance(config, GlobalStageConfig)
        self._config = config

    @property
    def sure(self) -> np.ndarray:
        return self._replay.sure

    @property
    def possible(self) -> np.ndarray:
        return self._replay.possible

    @cached_property
    def entered(self) -> np.ndarray:
        mask: np.ndarray = self._replay.dropped_at >= self._number
        return mask

    @cached_property
    def passed(self) -> np.ndarray:
        mask: np.ndarray = self._replay.dropped_at > self._number
        return mask

    @cached_property
    def removed(self) -> np.ndarray:
        mask: np.ndarray = self._replay.dropped_at == self._number
        return mask

    @cached_property
    def groups(self) -> np.ndarray:
        return groups_of_rows(self._replay.ledger, self._config)

    @property
    def edges(self) -> pa.Table:
        ledger = self._replay.ledger
        return read_table(ledger.run.path(ledger.run.dedup(self._config.name, EDGES_FILE)))

    @property
    def later_stages_read_text(self) -> Sequence[str]:
        later = (step.config for step in self._replay.steps[self._number + 1 :])
        return [config.name for config in later if isinstance(config, GlobalStageConfig) and config.reads_text]

    @property
    def later_stages_have_rules(self) -> bool:
        return any(step.rules for step in self._replay.steps[self._number + 1 :])

    def column(self, name: str) -> pa.Array:
        return self._replay.ledger.column(name)

    def parts(self, name: str) -> Iterator[tuple[int, pa.Array]]:
        return self._replay.ledger.parts(name)

    def find(self, ids: pa.Array, among: np.ndarray) -> np.ndarray:
        return self._replay.ledger.find(ids, among)

    def measured(self, metric: str) -> np.ndarray:
        local = ((n, step.config) for n, step in enumerate(self._replay.steps) if isinstance(step.config, StageConfig))
        gives = next(number for number, config in local if metric in config.columns().names)
        measured: np.ndarray = self._replay.measured_until >= gives
        return measured

    def drop(self, rows: np.ndarray) -> None:
        self._replay.drop(self._number, rows)

    def drop_recorded(self) -> None:
        self._replay.drop_recorded(self._number)

    def unsure(self, rows: np.ndarray) -> None:
        self._replay.sure[rows] = False

    def doubt(self, rows: np.ndarray, cause: Cause) -> None:
        self._replay.doubt(rows, cause)

    def texts_change(self) -> None:
        self._replay.texts_change = True
