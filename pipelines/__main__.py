"""`python -m pipelines` is `gristmill`."""

from pipelines.cli import main

main()
