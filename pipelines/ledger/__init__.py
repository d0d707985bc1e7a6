"""Reading a finished run: rows of the ledger, and clusters of duplicates."""
