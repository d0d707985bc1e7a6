"""Lists and models as files."""
