"""Before a run: `plan` and `sample`."""
