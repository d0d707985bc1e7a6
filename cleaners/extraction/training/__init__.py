"""Training of the extractor, and scores of extraction engines. Only `gristmill extractor` imports this package.

pages       truth and WARC files ──▶ pages
labels      main text of a page ──▶ share of main text of each block
selected    CSS selectors ──▶ main text
silver      two engines that agree, and snippets ──▶ labels with less weight
fit         labelled pages ──▶ linear models, two forests, predictions across folds
train       all of this ──▶ model file and card
score       texts of an engine, truth ──▶ F1
"""
