"""Making a run: its folder, its units, and their files."""
