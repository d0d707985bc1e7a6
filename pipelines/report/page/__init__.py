"""The page of a report: templates, charts as SVG, and the environment that fills them in."""
