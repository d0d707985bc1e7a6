"""Local stages: a batch in, the same rows with new columns out. One file a rule family, its config beside it."""
