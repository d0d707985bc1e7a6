"""Commands on finished runs and indexes, a file each."""
