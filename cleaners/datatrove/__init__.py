"""The formulas of datatrove 0.10's filters, for stages with `compat = "datatrove"`: one file for each filter.

FineWeb and FineWeb2 tuned their thresholds on these formulas and on datatrove's words (`words`, with the tables of
`affixes`). Thresholds, rules and reasons are those of the stage. Where datatrove would divide by no words or no lines,
and stops with an error or goes on with `nan`, a metric is NaN: not measured.
"""
