"""Several runs in one page: side by side (`--against`), or one after the other (`--history`)."""
