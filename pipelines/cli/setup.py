"""Commands around an installation: recipes, demo, models, lists."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.printing import show, show_all, this_command
from pipelines.lines import Titled
from shards.errors import Interrupted


def recipes(name: Annotated[str | None, typer.Argument(help="Print this one as TOML.")] = None) -> None:
    """List the built-in recipes, or print one."""
    from pipelines.recipe import builtin_names, load_recipe, recipe_text

    if name is not None:
        sys.stdout.write(recipe_text(name)[0])
    else:
        for builtin in builtin_names():
            first, *others = load_recipe(builtin).about.split("\n")
            show_all([Titled(builtin, first), *others])


def demo(folder: Annotated[Path, typer.Option("--out", help="The folder for everything.")] = Path("demo")) -> None:
    """Run the whole chain on a crawl that is made on the spot; takes a few minutes."""
    from pipelines.demo import run_demo

    try:
        run_demo(folder, lambda text: show_all(text.split("\n")))
    except Interrupted:
        raise Interrupted(f"interrupted; what is done stays. To resume: {this_command()}") from None


def models() -> None:
    """Prepare what an installation lacks: fetch the language model lid.176 (0.9 MB), and compile the extractor for this
    processor (a minute, once)."""
    from cleaners.extraction.engine import Options, extract
    from cleaners.language_model import fetch_language_model, language_model_target

    target = language_model_target()
    if target.exists():
        show(f"{target} is there")
    else:
        fetch_language_model(target)
        show(f"wrote {target}")
    began = time.monotonic()
    extract([b"<p>The mill stands by the river."], Options())
    show(f"the extractor is ready ({time.monotonic() - began:.1f} s)")


def lists() -> None:
    """Fetch UT1, the list of 4.6 million domains that a recipe names by `blocked_domains = "ut1"` (20 MB)."""
    from cleaners.assets.listfile import fetch_ut1, ut1_target

    target = ut1_target()
    if target.exists():
        show(f"{target} is there")
    else:
        fetch_ut1(target)
        show(f"wrote {target}")
