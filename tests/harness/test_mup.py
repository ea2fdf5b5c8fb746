"""The coordinate check of muP (Tensor Programs V, section 7 and appendix D.1): how far each coordinate moves in a few
updates does not depend on the width. Without muP it does, so the check can fail.

Models are trained as a run trains them: its configuration, its initialisation, its parameter groups, AdamW.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tiny import finish, study_text, submit_here
from torch import Tensor

from harness.branches import WEIGHTS
from harness.launch.observe import observe
from harness.store import Store, read_lines
from harness.train.engine import RATE_SCALE, decayed_groups
from models.heads import MaskedLM, build_masked_lm
from models.sizes import EncoderConfig

WIDTHS = (32, 64, 128, 256)
BASE, HEAD, VOCABULARY, ROWS, TOKENS, UPDATES = 32, 16, 200, 8, 16, 12
RATE = 0.01


def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Ids (B, T), masked positions (N,) and labels (N,): the same ones at every width and update, so that what is
    learnt soon outweighs what was drawn."""
    source = torch.Generator().manual_seed(0)
    ids = torch.randint(4, VOCABULARY, (ROWS, TOKENS), generator=source)
    index = (torch.arange(ROWS)[:, None] * TOKENS + torch.arange(1, TOKENS, 3)).flatten()
    return ids, index, ids.flatten()[index].roll(1)


@torch.no_grad()
def coordinates(model: MaskedLM) -> dict[str, Tensor]:
    """What the check looks at: the residual stream after the last block (B, T, D), and logits (N, V)."""
    ids, index, _ = batch()
    stream: list[Tensor] = []
    hook = model.encoder.blocks[-1].register_forward_hook(lambda _module, _inputs, output: stream.append(output))
    hidden = model.encoder(ids).flatten(0, 1).index_select(0, index)
    hook.remove()
    return {"stream": stream[0], "logits": model.logits(hidden)}


def sizes(width: int, seed: int, *, mup: bool) -> dict[str, float]:
    """Root mean square over coordinates: of the residual stream and logits at the start, and of how far they move."""
    scale = BASE / width if mup else 1.0
    config = EncoderConfig(
        kind="modern",
        vocabulary=VOCABULARY,
        width=width,
        layers=2,
        heads=width // HEAD,
        feedforward=4 * width,
        positions=TOKENS,
        output_multiplier=scale,
    )
    model = build_masked_lm(config, seed)
    optimizer = torch.optim.AdamW(decayed_groups(model, 0.01, scale), lr=0.0, betas=(0.9, 0.95), eps=1e-8)
    before = coordinates(model)
    for _ in range(UPDATES):
        for group in optimizer.param_groups:
            group["lr"] = RATE * group.get(RATE_SCALE, 1.0)
        model(*batch()).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = {f"{name} moved": value - before[name] for name, value in coordinates(model).items()}
    return {name: float(value.square().mean().sqrt()) for name, value in (before | moved).items()}


def slopes(*, mup: bool) -> dict[str, float]:
    """Exponent of the width in each size, mean over seeds, by least squares on logarithms."""
    seeds = range(3)
    rows = [[sizes(width, seed, mup=mup) for seed in seeds] for width in WIDTHS]
    x = [math.log(width) - sum(map(math.log, WIDTHS)) / len(WIDTHS) for width in WIDTHS]
    return {
        name: sum(a * math.log(sum(one[name] for one in row) / len(row)) for a, row in zip(x, rows, strict=True))
        / sum(a * a for a in x)
        for name in rows[0][0]
    }


@pytest.fixture(scope="module")
def found() -> dict[bool, dict[str, float]]:
    return {mup: slopes(mup=mup) for mup in (True, False)}


def test_under_mup_coordinates_move_as_far_at_every_width(found: dict[bool, dict[str, float]]) -> None:
    assert abs(found[True]["stream moved"]) < 0.2
    assert abs(found[True]["logits moved"]) < 0.2


def test_without_mup_they_move_farther_the_wider_the_model(found: dict[bool, dict[str, float]]) -> None:
    assert found[False]["stream moved"] > 0.6
    assert found[False]["logits moved"] > 0.3


def test_at_the_start_the_stream_has_one_size_and_logits_shrink_only_as_the_theory_says(
    found: dict[bool, dict[str, float]],
) -> None:
    """Logits start at width^-1/2 (the sum of independent terms over the width), and what is learnt does not."""
    assert abs(found[True]["stream"]) < 0.1
    assert found[True]["logits"] == pytest.approx(-0.5, abs=0.1)
    assert found[False]["logits"] == pytest.approx(0.5, abs=0.1)


@pytest.fixture(scope="module")
def losses(tiny_store: Callable[[str], Store]) -> dict[str, list[float]]:
    """The losses of one muP run at twice its base width, under several ZeRO stages."""

    def execute(execution: str) -> list[float]:
        store = tiny_store("mup")
        text = study_text(execution=execution).replace("width: 16", "width: 32")
        text = text.replace("learning_rate: 0.01", "learning_rate: {rule: mup, rate: 0.02, width: 16}")
        _, (run,) = submit_here(store, text)
        finish(store, "tiny")
        assert observe(store, run.id, ["heldout"]).state == "done"
        assert (store.run(run.id) / WEIGHTS).exists()
        return [row["loss"] for row in read_lines(store.run(run.id) / "metrics.jsonl")]

    return {stage: execute(f"{{devices: {1 if stage == '0' else 2}, zero: {stage}}}") for stage in ("0", "2", "3")}


@pytest.mark.parametrize(("stage", "bound"), [("2", 1e-5), ("3", 1e-4)])
def test_every_zero_stage_trains_each_group_at_its_own_rate(
    losses: dict[str, list[float]], stage: str, bound: float
) -> None:
    assert len(losses["0"]) == 12 and losses["0"][-1] < losses["0"][0] - 0.1
    assert losses[stage] == pytest.approx(losses["0"], abs=bound)


def test_groups_hold_every_parameter_once_and_shrink_weights_alike_at_every_width() -> None:
    config = EncoderConfig(kind="modern", vocabulary=50, width=64, layers=2, heads=4, feedforward=256, positions=8)
    model = build_masked_lm(config, 0)
    plain, scaled = decayed_groups(model, 0.01), decayed_groups(model, 0.01, 0.25)
    for groups in (plain, scaled):
        held = [id(parameter) for group in groups for parameter in group["params"]]
        assert len(held) == len(set(held)) == len(list(model.parameters()))
    assert len(plain) == 2 and not any(RATE_SCALE in group for group in plain)
    assert [group.get(RATE_SCALE, 1.0) for group in scaled] == [0.25, 1.0, 1.0]
    products = [group.get(RATE_SCALE, 1.0) * group["weight_decay"] for group in scaled]
    assert products == pytest.approx([0.01, 0.01, 0.0])
    (table,) = scaled[1]["params"]
    assert table is model.decoder.weight
