"""The floor: what two packages must agree on. Imports none of ours, and neither torch nor ray."""

from pathlib import Path

from shards.compiled import forget_stale

forget_stale(Path(__file__).parent.parent)
