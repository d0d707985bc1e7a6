"""The command that shows a run in the browser: serve."""

from typing import Annotated

import typer

from pipelines.cli.options import RunArgument
from pipelines.cli.printing import say, show


def serve(
    folder: RunArgument,
    port: Annotated[int, typer.Option(help="Port of 127.0.0.1; 0 takes any that is free.", min=0, max=65535)] = 0,
) -> None:
    """Show a run in the browser of this machine, finished or not: report, ledger, explain, whatif. Ctrl-C ends it."""
    from pipelines.run.folder import RunFolder
    from pipelines.serve.server import served
    from shards.errors import UserError

    run = RunFolder(folder)
    if not run.is_run():
        raise UserError(f"{run}: no run of gristmill; name the folder that --out made")
    with served(folder, port) as server:
        show(f"serving {run} at {server.url}")
        say("only this machine can open it, with the whole address; nothing is written; Ctrl-C ends")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("ended")
