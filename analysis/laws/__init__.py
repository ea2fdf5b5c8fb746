"""Scaling laws: what loss follows from language count, parameters and tokens, with intervals and held-out scores.

`forms` writes a law as a log-sum-exp of terms that are linear in its parameters; `fit` finds them robustly and puts
intervals on them; `held_out` scores a law on cells it has not seen; `language_count`, `sampling` and `vocabulary` read
the table of records; `report` puts what they say in rows. None of them imports scipy before a law is fitted.
"""

from analysis.laws.fit import Fit, LawAbsent
from analysis.laws.language_count import LanguageCountLaw, fit_language_count
from analysis.laws.report import LawSummary, laws_report
from analysis.laws.sampling import SamplingLaw, fit_sampling
from analysis.laws.vocabulary import Vertex, vertices

__all__ = [
    "Fit", "LanguageCountLaw", "LawAbsent", "LawSummary", "SamplingLaw", "Vertex", "fit_language_count", "fit_sampling",
    "laws_report", "vertices",
]  # fmt: skip
