"""The command line: one module for each kind of command, one function for each command.

A command parses its words, calls one function and prints the lines that this yields. Imports wait inside the command
that needs them, so that `gristmill --help` loads neither pyarrow nor torch.

Exit codes: 0 done, 1 the run failed or something is wrong with it, 2 the user's mistake, 130 Ctrl-C or SIGTERM.
"""

import errno
import functools
import io
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli import (
    classifier,
    extractor,
    index,
    ledger,
    preview,
    run,
    search,
    serve,
    setup,
    trained,
    training,
    worth,
)
from pipelines.cli.printing import say, show, this_command, visible
from shards.address import require_local
from shards.errors import GristmillError, Interrupted, RunError, UserError
from shards.limits import limit_error
from shards.stop_signal import command_signals, ignore_signals

_INTERRUPTED = "gristmill: interrupted; to resume: {}"

# In the order of the help.
COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "submit": run.submit,
    "merge": run.merge,
    "check": preview.check,
    "plan": preview.plan,
    "status": ledger.status,
    "verify": ledger.verify,
    "report": ledger.report,
    "serve": serve.serve,
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
    "sample": preview.sample,
    "remove": index.remove,
    "calibrate": classifier.calibrate,
    "tokenize": training.tokenize,
    "instructions": training.instructions,
    "export-tokens": training.export_tokens,
    "pretrain": training.pretrain,
    "mixture": training.mixture,
    "trace": training.trace,
    "verify-run": training.verify_run,
    "eval": trained.evaluate,
    "generate": trained.generate,
    "export-model": trained.export_model,
    "ablate": worth.ablate,
    "suspects": worth.suspects,
    "search": search.search,
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "tokenizer": (
        "Train tokenizers, extend and measure those of others.",
        {
            "train": training.train_tokenizer,
            "extend": training.extend_tokenizer,
            "report": training.report_tokenizer,
        },
    ),
    "classifier": (
        "Train model filters, and see what they would keep.",
        {"train": classifier.train, "apply": classifier.apply},
    ),
    "extractor": (
        "Score extraction engines on labelled pages, and train our own.",
        {"train": extractor.train, "score": extractor.score},
    ),
    "scaling": (
        "Fit the loss of small trainings by their size and data, and predict larger ones.",
        {"run": worth.scaling_run, "fit": worth.scaling_fit, "predict": worth.scaling_predict},
    ),
    "index": (
        "Compare dumps with what earlier dumps kept, and take documents out.",
        {"add": index.add, "query": index.query, "remove": index.remove_from_index},
    ),
}


def main() -> None:
    """Run the command that the user gave. Our errors are one line and an exit code; any other is a bug and keeps its
    traceback."""
    _open_closed_streams()
    command_signals(_INTERRUPTED.format(visible(this_command())))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a page's letters
    try:
        code = app(prog_name="gristmill", standalone_mode=False) or 0
        if code == Interrupted.exit_code:  # a Ctrl-C that no command caught, as typer reports it
            raise KeyboardInterrupt
        sys.stdout.flush()
    except GristmillError as error:
        if isinstance(error, Interrupted):
            ignore_signals()
        say(f"gristmill: {error}")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        ignore_signals()
        say(_INTERRUPTED.format(this_command()))
        sys.exit(Interrupted.exit_code)
    except typer.TyperException as error:  # words that no command can parse
        if message := error.format_message():  # empty where no word was given: the help is printed already
            say(f"gristmill: {message} See gristmill --help")
        sys.exit(UserError.exit_code)
    except OSError as error:
        sys.exit(_os_error(error))
    except MemoryError:
        say("gristmill: out of memory; close other programs or give less by --memory, and run the same command again")
        sys.exit(RunError.exit_code)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Open the standard streams that the caller has closed, as some daemons do; what is written to them is lost.

    Otherwise the next file that is opened would take their place.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115


def _os_error(error: OSError) -> int:
    """Say an error of the operating system that no command expects; its exit code. Others than these are bugs."""
    if error.errno == errno.ENAMETOOLONG:
        say(f"gristmill: {error.filename}: {error.strerror}; choose a shorter one")
        return UserError.exit_code
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None
    if isinstance(error, BrokenPipeError) or is_full:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest is written when the process ends
    if is_full:
        say("gristmill: standard output: the disk is full; free some space and ask again")
    elif (limit := limit_error(error.filename or "a file", error)) is not None:
        say(f"gristmill: {limit}")
    elif not isinstance(error, BrokenPipeError):  # whose reader has read enough, as `head` does
        raise error
    return RunError.exit_code


def _made_app() -> typer.Typer:
    made = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_options)
    for name, command in COMMANDS.items():
        made.command(name)(_on_this_disk(command))
    for name, (about, commands) in GROUPS.items():
        group = typer.Typer(help=about, no_args_is_help=True)
        for command_name, command in commands.items():
            group.command(command_name)(_on_this_disk(command))
        made.add_typer(group, name=name)
    return made


def _show_version(wanted: bool) -> None:
    if wanted:
        show(f"gristmill {metadata.version('gristmill')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Crawl dumps in, clean deduplicated text out, and language models trained on it."""


def _on_this_disk(command: Callable[..., None]) -> Callable[..., None]:
    """The command, which refuses URLs for its paths: `Path` would make a folder `s3:` of `s3://bucket`."""

    @functools.wraps(command)
    def checked(**values: Any) -> None:
        for value in values.values():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path):
                    require_local(path)
        command(**values)

    return checked


app = _made_app()
