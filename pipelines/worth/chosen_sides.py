"""The sides that a user names: the three of a run, token folders, runs, and a run without one of its rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.executors import InProcess
from pipelines.passes import execute
from pipelines.replay.apply import open_apply
from pipelines.run.folder import RunFolder
from pipelines.worth.sides import Documents, ShardsOf, Split, three_sides
from pipelines.worth.token_sides import TokenSides, evaluation_texts, of_documents, of_token_folders
from shards.errors import UserError
from shards.stage import StageConfig
from shards.token_manifest import MANIFEST, TOKENIZER


def chosen_sides(
    run: Path | None,
    named: Mapping[str, Path],
    left_out: Sequence[str],
    out: Path,
    *,
    held_out: float,
    tokenizer: Path | None,
    texts: Sequence[Path],
    text_key: str,
    say: Callable[[str], None],
) -> TokenSides:
    """The sides as token folders, and what they are scored on.

    UserError for sides that do not go together, and as the modules of sides and tokens raise it.
    """
    if not 0 < held_out < 1:
        raise UserError(f"--held-out: expected a fraction between 0 and 1, found {held_out}")
    if run is None and left_out:
        raise UserError("--leave-out: names a rule of RUN; name the run first")
    are_tokens = {name: (path / MANIFEST).exists() for name, path in named.items()}
    if all(are_tokens.values()) and named and run is None:
        if tokenizer is not None:
            raise UserError("--tokenizer: token folders bring theirs; leave it out, or name runs")
        sides = of_token_folders(named)
    else:
        for name, is_tokens in are_tokens.items():
            if is_tokens:
                raise UserError(
                    f"side {name}: {named[name]} is a token folder beside a run, whose held-out pages are others; name "
                    "token folders alone or runs alone"
                )
        documents, runs = _documents(run, named, left_out, out, say)
        sides = of_documents(Split.of(documents, runs, held_out), out, tokenizer, say)
    path = next(iter(sides.train.values())) / TOKENIZER
    more = [evaluation_texts(file, text_key, out, path) for file in texts]
    return replace(sides, sets=[*sides.sets, *more])


def _documents(
    run: Path | None, named: Mapping[str, Path], left_out: Sequence[str], out: Path, say: Callable[[str], None]
) -> tuple[dict[str, Documents], list[Path]]:
    """(the documents of each side, the runs that they come from)."""
    documents: dict[str, Documents] = {}
    runs = list(named.values())
    if run is not None:
        runs.insert(0, run)
        documents = {"clean": ShardsOf(run)} if left_out else three_sides(run)
    for rule in left_out:
        assert run is not None
        say(f"what {run} would keep without {rule}")
        runs.append(_without(run, rule, out / "runs" / f"without-{rule}"))
        documents[f"without-{rule}"] = ShardsOf(runs[-1])
    for name, path in named.items():
        RunFolder(path).require_done()
        if name in documents:
            raise UserError(f"side {name}: stands twice; give it another name by --side NAME={path}")
        documents[name] = ShardsOf(path)
    return documents, runs


def _without(run: Path, rule: str, folder: Path) -> Path:
    """The run that `apply` makes of `run` without a rule, by its drop reason or its setting."""
    stages = [stage for stage in RunFolder(run).recipe().local_stages() if isinstance(stage, StageConfig)]
    settings = {r.reason: f"{stage.name}.{r.setting}" for stage in stages for r in stage.rules()}
    setting = settings.get(rule, rule if rule in settings.values() else None)
    if setting is None:
        raise UserError(f"--leave-out {rule}: no rule of {run}; its rules are {', '.join(sorted(settings))}")
    opened = open_apply(run, [f"{setting}=false"], folder)
    if not opened.folder.is_done():
        execute(opened, InProcess(), lambda _: None)
    return folder
