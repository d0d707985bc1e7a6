"""Tasks in the training loop: the questions of `[evaluate] tasks`, scored as `gristmill eval` scores them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.distributed.tensor import DTensor

from pretrain.log_likelihoods import Text, log_likelihoods
from pretrain.order.plan import Plan
from pretrain.parallel import SpreadModel
from pretrain.ranks import Ranks
from pretrain.tasks.questions import Task, read_task
from pretrain.tasks.scoring import answer_task, figures
from pretrain.tokenizing.tokenizer import Tokenizer
from shards.token_manifest import TOKENIZER

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskEvaluation:
    """The tasks of a training."""

    tasks: tuple[Task, ...]
    tokenizer: Tokenizer
    max_length: int

    def figures(self, spread: SpreadModel, ranks: Ranks) -> dict[str, dict[str, float]]:
        """The figures of each task; all ranks call this, and each scores a part of the texts."""

        def scores(texts: Sequence[Text]) -> np.ndarray:
            return log_likelihoods(spread.model, texts, autocast=spread.autocast, ranks=ranks)

        return {
            task.name: figures(task.kind, answer_task(task, self.tokenizer, scores, max_length=self.max_length))
            for task in self.tasks
        }


def tasks_of(plan: Plan, spread: SpreadModel) -> TaskEvaluation:
    """The tasks of the settings; none where no rank has the whole model. UserError for a file that is no task."""
    config = plan.config
    tasks = tuple(read_task(Path(path)).part(config.evaluate.task_questions) for path in config.evaluate.tasks)
    if tasks and isinstance(spread.model.head_VC, DTensor):
        log.warning("event=no_tasks: each rank has a part of the model (FSDP2), and tasks need the whole")
        tasks = ()
    return TaskEvaluation(tasks, Tokenizer(plan.sources[0].folder / TOKENIZER), config.sequence_length)
