"""The paper's grids as files: each finding has one, each scale of each can be expanded, none is dearer than it says."""

from __future__ import annotations

from collections import Counter

import pytest

from analysis.findings.vocabulary import TOTAL_TOLERANCE
from sweeps.grid import Run, expand
from sweeps.language_table import LANGUAGES
from sweeps.study import load_study, profiles_of, scales_that_ship, studies_that_ship

OWN = ("demo", "learning-rate")
"""Studies of the laptop alone."""
SHIPPED = [(name, profile) for name in studies_that_ship() for profile in profiles_of(name)]
HOUR_FLOPS = 1.5e14
"""What two cores of a small server do in about an hour, at the slowest pace seen of the demo (3.1e13 in 12 minutes)."""


def runs(name: str, profile: str) -> list[Run]:
    return expand(load_study(name, profile), "key")


@pytest.mark.parametrize(("name", "profile"), SHIPPED)
def test_every_study_and_profile_expands_to_runs_with_ids_of_their_own(name: str, profile: str) -> None:
    found = runs(name, profile)
    assert len(found) == len({run.id for run in found}) > 1
    assert all(run.axes["tokens"] > 0 and run.axes["flops"] > 0 for run in found)


def test_every_finding_of_the_paper_has_a_study() -> None:
    named = {finding for name in studies_that_ship() for finding in load_study(name).findings}
    assert named == {f"F{number}" for number in range(1, 19)}


@pytest.mark.parametrize("profile", profiles_of("vocabulary-total"))
def test_a_constant_total_is_constant_enough_for_its_finding(profile: str) -> None:
    axes = [run.axes for run in runs("vocabulary-total", profile)]
    totals = [each["body_parameters"] + each["embedding_parameters"] for each in axes]
    assert max(totals) <= min(totals) * (1 + 2 * TOTAL_TOLERANCE)


@pytest.mark.parametrize("name", [name for name in studies_that_ship() if name not in OWN])
def test_each_has_the_four_scales_and_starts_with_the_laptop(name: str) -> None:
    assert profiles_of(name) == ["laptop", "gpu", "cluster", "paper"]
    assert set(scales_that_ship()) == set(profiles_of(name))
    assert load_study(name).corpus == "demo"
    for profile in ("gpu", "cluster", "paper"):
        study = load_study(name, profile)
        assert study.corpus == "cc100" and set(study.groups) == {"high", "low", "core"}


@pytest.mark.parametrize("name", [name for name in studies_that_ship() if name not in OWN])
def test_a_laptop_profile_is_an_hour_at_most_and_its_key_contrasts_have_three_seeds(name: str) -> None:
    found = runs(name, "laptop")
    own = {run.id for run in found}
    shared = {run.id: run.trunk.step / run.axes["steps"] for run in found if run.trunk and run.trunk.run in own}
    assert sum(run.axes["flops"] * (1 - shared.get(run.id, 0.0)) for run in found) < HOUR_FLOPS
    assert len({run.axes["seed"] for run in found}) >= 3


def test_the_papers_sizes_are_the_papers() -> None:
    paper = {run.axes["K"]: run for run in runs("curse", "paper")}
    assert sorted(paper) == [7, 15, 30, 60, 100]
    axes = paper[100].axes
    assert (axes["width"], axes["layers"], axes["vocabulary"], axes["batch_tokens"]) == (768, 12, 150_000, 8192 * 512)
    assert (axes["body_parameters"] + axes["embedding_parameters"]) / 1e6 == pytest.approx(200.1, rel=0.01)
    assert {run.axes["width"] for run in runs("capacity", "paper")} == {768, 960, 1152}
    assert {run.axes["alpha"] for run in runs("alpha", "paper")} == {0.01, 0.3, 0.7, 1.0}
    assert {run.axes["batch_tokens"] // 512 for run in runs("training", "paper")} == {2048, 4096, 8192}
    constant = {run.axes["vocabulary"]: run.axes["width"] for run in runs("vocabulary-total", "paper")}
    assert constant == {32_000: 1088, 64_000: 960, 128_000: 832, 256_000: 576, 512_000: 384}


def test_studies_that_hold_the_same_runs_share_them() -> None:
    demo = {run.id for run in runs("demo", "laptop")}
    assert {run.id for run in runs("curse", "laptop")} <= demo
    assert len(demo & {run.id for run in runs("alpha", "laptop")}) == 9  # three of its four alphas, three of its seeds


@pytest.mark.parametrize("profile", ["laptop", "gpu", "cluster", "paper"])
def test_the_second_order_adds_other_languages_between_ends_that_it_shares_with_the_first(profile: str) -> None:
    first, second = ({run.id: run.axes for run in runs(name, profile)} for name in ("curse", "curse-second-order"))
    counts = sorted({axes["K"] for axes in first.values()})
    assert counts == sorted({axes["K"] for axes in second.values()})
    assert {first[shared]["K"] for shared in first.keys() & second.keys()} == {counts[0], counts[-1]}
    assert len(first.keys() & second.keys()) == 6


def test_the_causes_are_crossed() -> None:
    found = runs("causes", "cluster")
    cells = {(run.axes["K"], run.axes["policy"], run.axes["derive.steps.rule"]) for run in found}
    assert {policy for k, policy, _ in cells if k == 7} == {"frozen-superset", "retrained"}
    assert {(k, rule) for k, _, rule in cells} == {
        (7, "equal-updates"),
        (30, "equal-updates"),
        (30, "equal-core-tokens"),
        (100, "equal-updates"),
        (100, "equal-core-tokens"),
    }
    steps = {(run.axes["K"], run.axes["derive.steps.rule"]): run.axes["steps"] for run in found}
    assert steps[100, "equal-core-tokens"] > steps[30, "equal-core-tokens"] > steps[7, "equal-updates"]


@pytest.mark.parametrize("profile", ["laptop", "gpu", "cluster", "paper"])
def test_batch_and_updates_are_varied_at_equal_tokens_too(profile: str) -> None:
    reached: dict[int, set[int]] = {}
    for run in runs("training", profile):
        reached.setdefault(run.axes["tokens"], set()).add(run.axes["batch_tokens"])
    assert max(len(batches) for batches in reached.values()) == 3


@pytest.mark.parametrize("name", ["data", "clean-data"])
@pytest.mark.parametrize("profile", ["laptop", "gpu", "cluster", "paper"])
def test_text_is_varied_at_uniform_shares(name: str, profile: str) -> None:
    """At any other alpha a language's share of the batches would move with the text it is allowed."""
    assert {run.axes["alpha"] for run in runs(name, profile)} == {0.0}


@pytest.mark.parametrize("profile", ["laptop", "gpu", "cluster", "paper"])
def test_a_pair_meets_single_languages_that_were_seen_as_often(profile: str) -> None:
    seen: dict[int, set[float]] = {1: set(), 2: set()}
    for run in runs("transfer", profile):
        seen[run.axes["K"]].add(run.axes["tokens"] / run.axes["K"])
    assert seen[1] & seen[2]


def test_pairs_share_family_or_script_or_both_or_neither_more_than_once() -> None:
    pairs = {tuple(run.axes["languages"]) for run in runs("transfer", "cluster") if run.axes["K"] == 2}
    kinds = Counter(
        (LANGUAGES[one].family == LANGUAGES[other].family, LANGUAGES[one].script == LANGUAGES[other].script)
        for one, other in pairs
    )
    assert len(kinds) == 4 and min(kinds.values()) >= 2


def test_the_laws_noise_is_seen_at_its_corners_alone() -> None:
    again = {(run.axes["K"], run.axes["width"]) for run in runs("iso-loss", "cluster") if run.axes["seed"]}
    assert again == {(7, 256), (7, 1024), (100, 256), (100, 1024)}
