"""An exported checkpoint is fine-tuned by transformers' own classes as by us: same outputs, same updates, same scores.

Dropout is off on both sides, since it is drawn by each in its own order; the heads begin with the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learnable import Letters, Run, Vowels, Which
from torch import Tensor

from harness.evaluate.batching import padded, training_batches
from harness.evaluate.benchmark import Benchmark
from harness.evaluate.driven import Means, summed_loss, targets_of
from harness.evaluate.finetune import Recipe
from harness.evaluate.published import PublishedXLMR
from harness.evaluate.sides import Protocol
from harness.store import Store, read_json
from models.encoder import Encoder
from models.heads import build_masked_lm
from models.huggingface import export_folder, import_folder
from models.sizes import EncoderConfig

transformers = pytest.importorskip("transformers")

CONFIG = EncoderConfig(
    kind="xlm-r", vocabulary=340, width=16, layers=2, heads=2, feedforward=32, positions=64, dropout=0.0
)
RECIPE = Recipe(learning_rate=5e-3, epochs=6, batch_rows=8, dropout=0.0)


@pytest.fixture(scope="module")
def folder(tiny_store: Callable[[str], Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as `export` writes it."""
    store = tiny_store("parity")
    tokenizer = next(path.parent for path in store.tokenizers.glob("*/manifest.json"))
    made = tmp_path_factory.mktemp("parity") / "model"
    export_folder(build_masked_lm(CONFIG, 1), tokenizer / "sentencepiece.model", made)
    return made


def theirs(folder: Path, ours: torch.nn.Module, kind: str, classes: int) -> Any:
    """transformers' class for the task, from the folder, its head set to our head's first weights."""
    name = {"class": "SequenceClassification", "tags": "TokenClassification", "answer": "QuestionAnswering"}[kind]
    settings: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    if kind != "answer":
        settings |= {"num_labels": classes, "classifier_dropout": 0.0}
    model = getattr(transformers, f"XLMRobertaFor{name}").from_pretrained(folder, **settings)
    state = ours.state_dict()
    if kind == "class":
        model.classifier.dense.load_state_dict({key: state[f"dense.{key}"] for key in ("weight", "bias")})
        model.classifier.out_proj.load_state_dict({key: state[f"out.{key}"] for key in ("weight", "bias")})
    else:
        head = model.classifier if kind == "tags" else model.qa_outputs
        head.load_state_dict({key: state[f"out.{key}"] for key in ("weight", "bias")})
    return model


def said_by(model: Any, ids_BT: Tensor, real_BT: Tensor, kind: str) -> Tensor:
    out = model(input_ids=ids_BT, attention_mask=real_BT.long())
    return torch.stack((out.start_logits, out.end_logits), -1) if kind == "answer" else out.logits


def tuned_by_transformers(benchmark: Benchmark, model: Any, rows: Sequence[Any], dev: Callable[[], float]) -> float:
    """Our recipe around their forward and backward: the dev score of the best epoch, whose weights the model has."""
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": RECIPE.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.0)
    epoch_batches = [list(training_batches(rows, RECIPE.batch_rows, seed=0, epoch=e)) for e in range(RECIPE.epochs)]
    total, update, best, weights = sum(map(len, epoch_batches)), 0, -1.0, {}
    for batches in epoch_batches:
        model.train()
        for batch in batches:
            mine = [rows[index] for index in batch]
            ids_BT, real_BT = padded([row.ids for row in mine])
            targets = targets_of(mine, benchmark.kind, ids_BT.shape[1])
            count = int(targets.ne(-100).sum()) if benchmark.kind == "tags" else len(mine)
            loss = (
                summed_loss(said_by(model, ids_BT, real_BT, benchmark.kind), real_BT, targets, benchmark.kind) / count
            )
            for group in optimizer.param_groups:
                group["lr"] = RECIPE.rate(update, total)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), RECIPE.clip)
            optimizer.step()
            optimizer.zero_grad()
            update += 1
        if (score := dev()) > best:
            best, weights = score, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    return best


@pytest.mark.parametrize("task", [Which(), Vowels(), Run()], ids=lambda task: task.name)
def test_transformers_classes_give_our_outputs_and_with_our_recipe_our_scores(
    folder: Path, task: Any, tmp_path: Path, means: Means
) -> None:
    def make_encoder(seed: int) -> Encoder:
        return import_folder(folder).encoder

    protocol = Protocol(
        tmp_path, rates=(RECIPE.learning_rate,), seeds=(0,), recipe=RECIPE, select="source", languages=("en",)
    )
    benchmark = Benchmark(task, protocol, Letters(), make_encoder, tmp_path / "kept", means)
    ours, classes = benchmark.head(0), len(getattr(task, "labels", ())) or 2
    other = theirs(folder, ours, benchmark.kind, classes)

    side = benchmark.test["en"]
    ids_BT, real_BT = padded([row.ids for row in side.rows[:16]])
    with torch.no_grad():
        here, there = ours.eval()(ids_BT, real_BT), said_by(other.eval(), ids_BT, real_BT, benchmark.kind)
    mask = real_BT if here.dim() == 3 else torch.ones(len(here), dtype=torch.bool)
    torch.testing.assert_close(here[mask], there[mask], atol=2e-5, rtol=1e-4)

    def outputs(rows: Sequence[Any]) -> list[Any]:
        other.eval()
        found = []
        for row in rows:
            ids, real = padded([row.ids])
            with torch.no_grad():
                found.append(said_by(other, ids, real, benchmark.kind)[0].numpy())
        return found

    def score(part: Any) -> float:
        return benchmark.scores(part, benchmark._said(outputs(part.rows), part), "en")[0].value

    dev = benchmark.sides.side(tmp_path, "dev", "en")
    best = tuned_by_transformers(
        benchmark, other, benchmark.sides.side(tmp_path, "train", "en").rows, lambda: score(dev)
    )
    record = benchmark.run()[0]
    assert best == pytest.approx(record["details"]["dev"][0], abs=0.05)
    assert score(side) == pytest.approx(record["value"], abs=0.05)
    assert record["value"] > 0.8, "it is something that both have learned"
    (kept,) = (tmp_path / "kept").glob("en-*.json")
    answers = read_json(kept)["languages"]["en"]["said"]
    same = np.mean(
        [
            str(answers[item.id]) == str(list(one) if isinstance(one, tuple) else one)
            for item, one in zip(side.items, benchmark._said(outputs(side.rows), side), strict=True)
        ]
    )
    assert same >= 0.9, "most predictions are the same, item by item"


def test_an_untrained_control_is_drawn_by_its_seed_and_has_nothing_of_the_pretrained_one(folder: Path) -> None:
    model = PublishedXLMR(folder, None, "", "cpu")  # type: ignore[arg-type]
    first, again, other = (model.untrained(seed).state_dict() for seed in (0, 0, 1))
    trained = model.trained().state_dict()
    name = "blocks.0.qkv.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name]) and not torch.equal(first[name], trained[name])
    assert first.keys() == trained.keys()
