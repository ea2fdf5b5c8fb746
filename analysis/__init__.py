"""From records to findings: reads what runs wrote, judges it, draws it, reports it. No torch, and nothing of `harness`.

records.py      the files of a study as one documented table
statistics.py   group means, Student-t intervals over seeds
axes.py         which cells of a table may stand on one axis of one figure
findings.py     F1, F2, F4, F6: supported, not supported, cannot tell
figures/        the drawings
report.py       everything together as one self-contained page
"""
