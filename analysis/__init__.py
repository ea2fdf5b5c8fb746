"""From records to findings: reads what runs wrote, judges it, draws it, reports it. No torch, and nothing of `harness`.

records.py       the files of a study as one documented table
curves.py        loss curves of many runs
completeness.py  which cells are whole, partial, missing, stale
cautions.py      what a reader must be told before any number
plateau.py       whether every cell left the unigram plateau
statistics.py    group means, Student-t intervals over seeds
bootstrap.py     intervals over items and seeds
axes.py          which cells of a table may stand on one axis of one figure
findings/        F1 to F18: supported, not supported, cannot tell
laws/            what loss follows from language count, parameters, tokens, sampling and vocabulary
paper.py         the paper's own points
figures/         the drawings
export.py        CSV and LaTeX
threads.py       linear algebra on one thread
report/          everything together as one self-contained page, and as LaTeX
"""
