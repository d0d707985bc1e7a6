"""The floor: what two packages must agree on. Imports none of ours, and neither torch nor ray."""
