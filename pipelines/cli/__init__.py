"""The command line: one module for each kind of command, one function for each command.

A command parses its words, calls one function and prints the lines that this yields. Imports wait inside the command
that needs them, so that `gristmill --help` loads neither pyarrow nor torch.

Exit codes: 0 done, 1 the run failed or something is wrong with it, 2 the user's mistake, 130 Ctrl-C or SIGTERM.
"""

import io
import signal
import sys
from collections.abc import Callable

import typer

from pipelines.cli import classifier, extractor, index, ledger, run, setup, training
from pipelines.cli.printing import say, this_command
from shards.errors import GristmillError, Interrupted, UserError
from shards.limits import limit_error

# In the order of the help.
COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "plan": run.plan,
    "status": ledger.status,
    "verify": ledger.verify,
    "report": ledger.report,
    "whatif": ledger.whatif,
    "apply": run.apply,
    "explain": ledger.explain,
    "pairs": ledger.pairs,
    "contamination": ledger.contamination,
    "diff": ledger.diff,
    "recipes": setup.recipes,
    "demo": setup.demo,
    "models": setup.models,
    "lists": setup.lists,
    "sample": run.sample,
    "remove": index.remove,
    "calibrate": classifier.calibrate,
    "tokenize": training.tokenize,
    "pretrain": training.pretrain,
    "trace": training.trace,
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "tokenizer": ("Train tokenizers.", {"train": training.train_tokenizer}),
    "classifier": (
        "Train model filters, and see what they would keep.",
        {"train": classifier.train, "apply": classifier.apply},
    ),
    "extractor": (
        "Score extraction engines on labelled pages, and train our own.",
        {"train": extractor.train, "score": extractor.score},
    ),
    "index": (
        "Compare dumps with what earlier dumps kept, and take documents out.",
        {"add": index.add, "query": index.query, "remove": index.remove_from_index},
    ),
}


def main() -> None:
    """Run the command that the user gave. Our errors are one line and an exit code; any other is a bug and keeps its
    traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as schedulers end a job: like Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a page's letters
    try:
        code = app(standalone_mode=False) or 0
        if code == Interrupted.exit_code:  # a Ctrl-C that no command caught, as typer reports it
            raise KeyboardInterrupt
        sys.exit(code)
    except GristmillError as error:
        say(f"gristmill: {error}")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write(f"gristmill: interrupted; to resume: {this_command()}\n")
        sys.exit(Interrupted.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if (limit := limit_error(error.filename or "a file", error)) is None:
            raise
        say(f"gristmill: {limit}")
        sys.exit(limit.exit_code)
    except typer.TyperException as error:  # words that no command can parse
        if message := error.format_message():  # empty where no word was given: the help is printed already
            say(f"gristmill: {message} See gristmill --help")
        sys.exit(UserError.exit_code)


def _made_app() -> typer.Typer:
    made = typer.Typer(
        help="Crawl dumps in, clean deduplicated text out, and language models trained on it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for name, command in COMMANDS.items():
        made.command(name)(command)
    for name, (about, commands) in GROUPS.items():
        group = typer.Typer(help=about, no_args_is_help=True)
        for command_name, command in commands.items():
            group.command(command_name)(command)
        made.add_typer(group, name=name)
    return made


app = _made_app()
