"""Word lists, domain lists and fastText models: finding, checking and searching the files."""
