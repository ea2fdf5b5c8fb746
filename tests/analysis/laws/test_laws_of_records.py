"""The laws read the table of records: which runs they are fitted to, and what they refuse to say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import worlds

from analysis.laws import LawAbsent, fit_language_count, fit_sampling, laws_report, vertices
from analysis.laws.fit import fit, trunk_of
from analysis.laws.forms import CHINCHILLA
from analysis.laws.vocabulary import Vertex, best_share, best_vocabulary, fit_vocabulary
from analysis.records import COLUMNS, Study
from analysis.statistics import BITS

CORE = ("en", "sv")
Truth = Callable[[str, dict[str, Any]], float]
SIZES = {"en": 800.0, "de": 300.0, "sv": 20.0, "fi": 5.0}


def table(cells: Iterable[dict[str, Any]], truth: Truth, noise: float = 0.005) -> pd.DataFrame:
    """Records of runs: losses by `truth` (language, axes), tokens and epochs as alpha's sampling gives them."""
    draw = np.random.default_rng(0)
    rows = []
    for number, cell in enumerate(cells):
        axes = {
            "run": f"r{number}", "languages": "en,sv", "K": 2, "alpha": 0.3, "vocabulary": 4000, "kind": "modern",
            "width": 64, "layers": 3, "body_parameters": 10**6, "embedding_parameters": 10**5, "batch_tokens": 1024,
            "steps": 1000, "tokens": 10**7, "flops": 1e12, "seed": 0,
        } | cell  # fmt: skip
        weight = {code: size ** axes["alpha"] for code, size in SIZES.items()}
        for code in SIZES:
            tokens = axes["tokens"] * weight[code] / sum(weight.values())
            axes["p"] = weight[code] / sum(weight.values())
            loss = truth(code, axes) * math.exp(draw.normal(0, noise))
            own = {"run": axes["run"], "language": code} | {k: v for k, v in axes.items() if k != "p"}
            rows.append(own | {"task": "heldout", "split": "heldout", "metric": "bits_per_byte", "value": loss})
            rows.append(own | {"task": "training", "split": "train", "metric": "tokens", "value": tokens})
            epochs = tokens / (SIZES[code] * 1e4)
            rows.append(own | {"task": "training", "split": "train", "metric": "epochs", "value": epochs})
    frame = pd.DataFrame([{"step": 1000, "n": 1, "standard_error": math.nan} | row for row in rows])
    for name in COLUMNS:
        if name not in frame:
            frame[name] = 0 if COLUMNS[name].dtype == "int64" else math.nan
    return frame.astype({name: column.dtype for name, column in COLUMNS.items()})


def curse(code: str, axes: dict[str, Any]) -> float:
    k, n, d = axes["K"], axes["body_parameters"], axes["tokens"] * axes["p"]
    return float(0.7 + 400 * k**0.11 / n**0.45 + 20 * k**-0.04 / d**0.15)


def shared(code: str, axes: dict[str, Any]) -> float:
    gamma = {"en": 0.02, "de": 0.04, "sv": 0.10, "fi": 0.12}[code]
    return float(2.0 * axes["p"] ** -gamma)


def valley(code: str, axes: dict[str, Any]) -> float:
    best = 4000 * (axes["body_parameters"] / 10**6) ** 0.5
    return float(2.0 + 0.1 * math.log(axes["vocabulary"] / best) ** 2)


@pytest.fixture(scope="module")
def grid() -> pd.DataFrame:
    cells = [
        {"K": k, "body_parameters": n, "tokens": k * d, "alpha": 0.0}
        for k in (2, 4, 8, 16, 32)
        for n in (10**6, 8 * 10**6, 64 * 10**6)
        for d in (10**7, 10**8, 10**9)
    ]
    return table(cells, curse)


def test_the_language_count_law_is_read_from_the_records(grid: pd.DataFrame) -> None:
    law = fit_language_count(grid, CORE, resamples=60)
    for name, truth in {"phi": 0.11, "psi": -0.04, "alpha": 0.45, "beta": 0.15}.items():
        interval = law.fit.interval(name)
        assert interval.low <= truth <= interval.high, name
    iso = law.iso_loss()
    assert iso["parameters"].low <= 0.11 / 0.45 <= iso["parameters"].high
    assert iso["tokens of the run"].low <= 1 - 0.04 / 0.15 <= iso["tokens of the run"].high
    assert iso["compute"].mean == pytest.approx(iso["parameters"].mean + iso["tokens of the run"].mean)
    assert law.gain["largest K"].above
    assert law.predict(32, 1e6, 1e7) > law.predict(2, 1e6, 1e7)


def test_runs_that_lack_a_language_of_the_group_are_left_out(grid: pd.DataFrame) -> None:
    lacking = grid[~((grid["run"] == "r0") & (grid["language"] == "sv"))]
    assert fit_language_count(lacking, CORE, resamples=0).fit.runs == 44


def test_the_report_says_why_a_law_is_absent(grid: pd.DataFrame) -> None:
    study = Study("s", "", (), "", "", "", {"core": CORE}, (), "", {})
    found = {law.name: law for law in laws_report(grid, study, resamples=20)}
    assert not found["Language count"].absent and found["Language count"].held_out
    assert "three sampling alphas" in found["Sampling ratio"].absent
    assert "three vocabularies" in found["Vocabulary"].absent
    empty = laws_report(grid.iloc[:0], study, resamples=20)
    assert all(law.absent for law in empty)
    with pytest.raises(LawAbsent, match="three language counts; there are 1"):
        fit_language_count(grid[grid["K"] == 2], CORE)


def test_shares_give_back_their_exponents_and_the_best_alpha_serves_the_group() -> None:
    cells = [{"alpha": a, "seed": s} for a in (0.0, 0.1, 0.3, 0.5, 0.7, 1.0) for s in range(2)]
    df = table(cells, shared, noise=0.002)
    law = fit_sampling(df, ("en", "sv"), resamples=60)
    gammas = law.gammas()
    assert gammas["en"].low <= 0.02 <= gammas["en"].high and gammas["sv"].low <= 0.10 <= gammas["sv"].high
    best = law.best_alpha()
    assert best.mean == 0.0, "Swedish has the most to gain from an even share"
    assert math.isnan(best.low), "an end of what was looked at has no interval of no width"
    assert fit_sampling(df, ("en",), resamples=30).best_alpha().mean == 1.5, "English alone wants all of it"


def test_what_was_drawn_a_little_differently_by_each_seed_makes_no_new_cell() -> None:
    cells = [{"alpha": a, "seed": s} for a in (0.0, 0.3, 1.0) for s in range(3)]
    df = table(cells, shared, noise=0.002)
    drawn = (df["metric"] == "tokens") & (df["task"] == "training")
    df.loc[drawn, "value"] *= 1 + 0.004 * df.loc[drawn, "seed"]
    law = fit_sampling(df, ("en", "sv"), resamples=30).by_language["sv"]
    assert law.form.parameters == ("e", "gamma"), "with one size and budget the floor is all there is"
    assert law.interval("gamma").low <= 0.10 <= law.interval("gamma").high
    with pytest.raises(LawAbsent, match="did not vary"):
        fit(CHINCHILLA, {"N": np.repeat([1e6, 2e6], 5), "D": 1e7 * (1 + 0.001 * np.arange(10))}, np.full(10, 2.0))


def test_the_best_vocabulary_is_found_and_follows_the_size() -> None:
    cells = [
        {"vocabulary": v, "width": w, "body_parameters": 10**6 * 4**i, "seed": s}
        for v in (1000, 2000, 4000, 8000, 16000, 32000)
        for i, w in enumerate((64, 128, 256))
        for s in range(2)
    ]
    found = vertices(table(cells, valley, noise=0.002), CORE, BITS)
    assert [vertex.inside for vertex in found] == [True] * 3
    for vertex, truth in zip(found, (4000, 8000, 16000), strict=True):
        assert vertex.best.low <= truth <= vertex.best.high
    predicted = best_vocabulary(found, 64 * 10**6)
    assert predicted.low <= 32000 <= predicted.high
    with pytest.raises(LawAbsent, match="three widths"):
        best_vocabulary(found[:2], 1e8)


def test_the_interval_of_a_best_vocabulary_holds_it_about_as_often_as_it_says() -> None:
    grid = worlds.cells(vocabulary=(3000, 6000, 12000, 24000), K=(4,))

    def truth(_: str, cell: Mapping[str, Any]) -> float:
        return 2.5 + 0.02 * math.log2(cell["vocabulary"] / 9000) ** 2

    def best(seed: int, noise: float, seeds: int = 3) -> Vertex:
        df = worlds.table(grid, truth, seeds, noise, np.random.default_rng([seed, seeds]))
        (vertex,) = vertices(df, ("en", "sv"), BITS)
        return vertex

    held = [v.best.low <= 9000 <= v.best.high for v in (best(seed, 0.005) for seed in range(150))]
    assert 0.9 <= np.mean(held) <= 0.99
    flat = [best(seed, 0.1).best for seed in range(20)]
    assert sum(math.isnan(interval.low) for interval in flat) > 10, "a bend that is not seen has no vertex"
    one, several = worlds.table(grid, truth, 1, 0.005, np.random.default_rng(1)), best(1, 0.005, 2)
    (alone,) = vertices(one, ("en", "sv"), BITS)
    assert math.isnan(alone.best.low) and not alone.replicated and several.replicated
    weak = [best(seed, 0.03) for seed in range(40)]
    assert any(v.cut for v in weak)
    for v in weak:
        assert math.isnan(v.best.low) or 3000 / 4.001 <= v.best.low <= v.best.mean <= v.best.high <= 24000 * 4.001


def test_a_best_vocabulary_at_the_end_of_what_was_run_is_called_one() -> None:
    cells = [{"vocabulary": v, "seed": s} for v in (8000, 16000, 32000) for s in range(2)]
    (vertex,) = vertices(table(cells, valley), CORE, BITS)
    assert not vertex.inside and vertex.best.mean == pytest.approx(8000)


def embedded(code: str, axes: dict[str, Any]) -> float:
    n, nv, d = axes["body_parameters"], axes["embedding_parameters"], axes["tokens"]
    return float(0.8 + 100 / n**0.4 + 10 / nv**0.25 + 40 / d**0.25)


def test_the_law_of_body_and_embeddings_says_what_share_the_embeddings_should_have() -> None:
    cells = [
        {"vocabulary": v, "width": w, "body_parameters": n, "embedding_parameters": v * w, "tokens": d, "seed": s}
        for v in (1000, 4000, 16000, 64000)
        for w, n in ((64, 10**6), (128, 8 * 10**6), (256, 64 * 10**6))
        for d in (10**8, 10**9, 10**10)
        for s in range(2)
    ]
    df = table(cells, embedded, noise=0.002)
    law = fit_vocabulary(df, CORE, BITS, resamples=60)
    for name, truth in {"alpha": 0.4, "gamma": 0.25, "beta": 0.25}.items():
        interval = law.interval(name)
        assert interval.low <= truth <= interval.high, name
    shares = np.linspace(0.01, 0.99, 197)
    total = 3e8
    losses = 100 / ((1 - shares) * total) ** 0.4 + 10 / (shares * total) ** 0.25
    share = best_share(law, total, 1e10)
    assert share.low <= shares[losses.argmin()] <= share.high and share.half < 0.3
    with pytest.raises(LawAbsent, match="no size of body was run with two vocabularies"):
        fit_vocabulary(df[df["vocabulary"] == 1000], CORE, BITS)


def test_other_alphas_and_budgets_do_not_move_the_best_vocabulary() -> None:
    cells = [{"vocabulary": v, "seed": s} for v in (1000, 4000, 16000) for s in range(2)]
    plain = vertices(table(cells, valley, noise=0.0), CORE, BITS)
    others = [{"vocabulary": 16000, "alpha": 0.7, "steps": 500}, {"vocabulary": 1000, "steps": 9000}]
    mixed = vertices(table([*cells, *others], valley, noise=0.0), CORE, BITS)
    assert [v.best.mean for v in mixed] == [v.best.mean for v in plain]
    study = Study("s", "", (), "", "", "", {"core": CORE}, (), "", {})
    told = next(s for s in laws_report(table([*cells, *others], valley), study, resamples=30) if s.name == "Vocabulary")
    assert "runs that differ elsewhere are left out here (2); kept: alpha 0.3, steps 1000" in told.cautions


def test_a_law_of_language_counts_is_fitted_to_runs_of_one_vocabulary_and_tokenizer() -> None:
    df = worlds.table(worlds.GRIDS["F5"], worlds.effect("F5"), 2, 0.0, np.random.default_rng(1))
    other = df[(df["K"] == 16) & (df["seed"] == 0)].assign(vocabulary=9000)
    other = other.assign(run=other["run"] + "v", value=other["value"] - 0.2)
    law, mixed = (fit_language_count(t, CORE, resamples=0) for t in (df, pd.concat([df, other], ignore_index=True)))
    assert mixed.fit.coefficients == pytest.approx(law.fit.coefficients) and mixed.out == other["run"].nunique()
    assert any(f"left out here ({mixed.out})" in text for text in mixed.cautions) and not law.out
    follows = df.assign(vocabulary=df["K"] * 1000)
    told = fit_language_count(follows, CORE, resamples=0)
    assert told.fit.runs == law.fit.runs and any("so does vocabulary" in text for text in told.cautions)
    more = df[(df["K"] == 16) & (df["seed"] == 0)].assign(vocabulary=777)
    more = more.assign(run=more["run"] + "m")
    told = fit_language_count(pd.concat([follows, more], ignore_index=True), CORE, resamples=0)
    assert told.fit.runs == law.fit.runs and told.out == more["run"].nunique(), "one cell more takes nothing away"
    own = df[df["K"] == 2].assign(tokenizer_languages=2)
    own = own.assign(run=own["run"] + "t", value=own["value"] + 0.2)
    told = fit_language_count(pd.concat([df, own], ignore_index=True), CORE, resamples=0)
    assert told.fit.coefficients == pytest.approx(law.fit.coefficients)
    assert any("runs of another tokenizer are left out here" in text for text in told.cautions)


def test_runs_that_differ_in_nothing_but_their_budget_are_of_one_trunk() -> None:
    cells = [
        {"steps": steps, "seed": seed, "width": width} for steps in (500, 1000) for seed in (0, 1) for width in (32, 64)
    ]
    trunks = trunk_of(table(cells, curse))
    assert [trunks[f"r{number}"] for number in range(4)] == [trunks[f"r{number}"] for number in range(4, 8)]
    assert trunks.nunique() == 4


def test_budgets_of_few_trunks_say_why_they_have_no_interval() -> None:
    """Three alphas with four budgets each: 12 runs, but 3 trunks for 4 coefficients."""
    budgets = [{"steps": steps, "tokens": 10**4 * steps} for steps in (400, 800, 1600, 3200)]
    cells = [budget | {"alpha": alpha} for budget in budgets for alpha in (0.0, 0.5, 1.0)]
    law = fit_sampling(table(cells, shared), CORE, resamples=40)
    fitted = law.by_language["en"]
    assert (fitted.runs, fitted.trunks) == (12, 3)
    assert math.isnan(law.gammas()["en"].low) and math.isnan(law.best_alpha().low)
    study = Study("s", "", (), "", "", "", {"core": CORE}, (), "", {})
    summary = next(s for s in laws_report(table(cells, shared), study, resamples=40) if s.name == "Sampling ratio")
    assert "12 runs of 3 trunks for 4 coefficients: no interval" in summary.cautions
    seeds = [cell | {"seed": seed} for cell in cells for seed in range(3)]
    assert fit_sampling(table(seeds, shared), CORE, resamples=40).gammas()["en"].low > 0


def test_every_law_over_budgets_counts_trunks_and_not_runs() -> None:
    budgets = [{"steps": steps, "tokens": 10**4 * steps} for steps in (400, 1600, 6400)]
    counts = [
        budget | {"K": k, "width": width, "body_parameters": 1000 * width**2, "alpha": 0.0}
        for budget in budgets
        for k in (2, 8, 32)
        for width in (32, 128, 512)
    ]
    law = fit_language_count(table(counts, curse), CORE, resamples=0).fit
    assert (law.runs, law.trunks) == (27, 9)
    sizes = [
        budget
        | {"vocabulary": v, "width": width, "embedding_parameters": v * width, "body_parameters": 1000 * width**2}
        for budget in budgets
        for v in (1000, 4000, 16000)
        for width in (32, 128)
    ]
    fitted = fit_vocabulary(table(sizes, valley), CORE, BITS, resamples=0)
    assert (fitted.runs, fitted.trunks) == (18, 6)
