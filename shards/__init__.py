"""Contracts and file formats that two packages must agree on. It imports none of them, and neither torch nor ray."""
