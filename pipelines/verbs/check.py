"""`gristmill check`: whether a run of a recipe could start here, and what it would read. Nothing is written."""

from collections.abc import Iterator
from pathlib import Path

from cleaners.assets.listfile import facts_of
from pipelines.numbers import counted, size
from pipelines.recipe import Recipe
from shards.stage import StageConfig
from shards.storage import find_inputs


def lines(recipe: Recipe) -> Iterator[str]:
    """A line for the recipe and for each source, model, file and list. Raises what the run would raise."""
    yield f"{recipe.name}: {counted(len(recipe.stages), 'stage')}, {counted(len(recipe.sources), 'source')}"
    for name, source in recipe.sources.items():
        if source.paths:
            files = find_inputs(source.paths, source.suffixes, f"source.{name}.paths")
            read = f"{counted(len(files), 'file')}, {size(sum(file.num_bytes for file in files))}"
        else:
            read = "no path is given yet"
        yield f"source.{name}: {source.kind}, {read}"
    for _, stage in recipe.stages:
        stage.digests()  # reads every model and file, and refuses what cannot be used
        for path in stage.files().values():
            yield f"{stage.name}: reads {Path(path)}"
        for name, facts in facts_of(stage.lists()).items():
            yield f"{name}: {facts['entries']:,} entries, licence {facts['licence']}"
        if isinstance(stage, StageConfig):
            stage.build()
        yield from stage.notes()
    is_ready = all(source.paths for source in recipe.sources.values())
    yield f"{recipe.name} is ready to run" if is_ready else f"{recipe.name} is ready for inputs"
