"""Runs of many small files."""

from pathlib import Path

from pipelines.recipe import load_recipe
from pipelines.run.opening import Run, open_run

RECIPE = """
[source.web]
kind = "jsonl"
[source.ark]
kind = "jsonl"
[[stage]]
kind = "exact"
[[stage]]
kind = "gopher_quality"
"""


def make_run(root: Path, sizes: dict[str, list[tuple[str, int]]]) -> Run:
    """A run of files with these names and about these sizes in bytes."""
    for source, files in sizes.items():
        for name, size in files:
            path = root / source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [f'{{"id": "{source}{name}{i}", "text": "{source} {i} of {name}"}}\n' for i in range(size // 50)]
            path.write_text("".join(lines))
    (root / "recipe.toml").write_text(RECIPE)
    settings = [f'source.{source}.paths="{root / source}"' for source in ("web", "ark")]
    return open_run(load_recipe(str(root / "recipe.toml"), settings), root / "run")


def many(prefix: str, number: int, size: int) -> list[tuple[str, int]]:
    return [(f"{prefix}{i:03d}.jsonl", size) for i in range(number)]
