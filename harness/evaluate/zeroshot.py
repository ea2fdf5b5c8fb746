"""Zero-shot transfer: fine-tune on English, score in every language of the run (paper section 3.1 of the notes: XNLI's
protocol, on the demo's intent classification).

The recipe is fixed and stated in `FineTuning`; the checkpoint is the best on English dev, so no target language is
looked at. Padded batches, sorted by length, so that padding is small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from harness.batches.keyed import generator, key
from harness.batches.stream import BEGIN_ID
from harness.corpus.tokenizer import END_ID, Tokenizer
from harness.evaluate import intents
from harness.evaluate.batching import padded
from models.heads import MaskedLM, SequenceClassifier

SOURCE = "en"
"""The language that is fine-tuned on."""
_ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class FineTuning:
    """Chosen on English dev at widths 32 and 96 of the demo (rates 0.001 to 0.01, 6 to 15 epochs)."""

    epochs: int = 6
    batch_rows: int = 32
    learning_rate: float = 1e-2
    warmup: float = 0.1
    dropout: float = 0.1


@dataclass(frozen=True)
class Encoded:
    ids: list[list[int]]
    labels: list[int]


def encode_items(
    items: Sequence[intents.IntentItem], labels: Sequence[str], tokenizer: Tokenizer, most_tokens: int
) -> Encoded:
    """<s> text </s>, cut to the model's positions."""
    number = {label: index for index, label in enumerate(labels)}
    encoded = tokenizer.encode([item.text for item in items])
    ids = [[BEGIN_ID, *pieces[: most_tokens - 2], END_ID] for pieces in encoded]
    return Encoded(ids, [number[item.label] for item in items])


def fine_tune(
    model: MaskedLM, train: Encoded, dev: Encoded, classes: int, *, recipe: FineTuning, seed: int, bf16: bool
) -> SequenceClassifier:
    """A classifier on the model's encoder; the weights of the epoch with the best dev accuracy."""
    device = next(model.parameters()).device
    classifier = SequenceClassifier(
        model.encoder, classes, pool="mean", dropout=recipe.dropout, seed=key(seed, "classifier") >> 1
    ).to(device)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=recipe.learning_rate, weight_decay=0.01, fused=True)
    batches = math.ceil(len(train.ids) / recipe.batch_rows)
    total, update = recipe.epochs * batches, 0
    best, best_weights = -1.0, {}
    torch.manual_seed(key(seed, "fine-tuning-dropout") >> 1)
    for epoch in range(recipe.epochs):
        classifier.train()
        order = generator(seed, "fine-tuning-order", epoch).permutation(len(train.ids))
        for batch in np.array_split(order, batches):
            rate = min(1.0, (update + 1) / max(1.0, recipe.warmup * total)) * (1.0 - update / total)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate
            ids_BT, real_BT = padded([train.ids[index] for index in batch])
            labels_B = torch.as_tensor([train.labels[index] for index in batch])
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                logits_BY = classifier(ids_BT.to(device), real_BT.to(device))
            F.cross_entropy(logits_BY.float(), labels_B.to(device)).backward()
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            update += 1
        accuracy = float(np.mean(correct(classifier, dev, bf16=bf16)))
        if accuracy > best:
            best, best_weights = accuracy, {name: value.clone() for name, value in classifier.state_dict().items()}
    classifier.load_state_dict(best_weights)
    return classifier


@torch.no_grad()
def correct(
    classifier: SequenceClassifier, data: Encoded, *, bf16: bool, allowed: Sequence[int] | None = None
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each item is classified rightly, (items,). `allowed` restricts answers to the classes a language has."""
    classifier.eval()
    device = next(classifier.parameters()).device
    right = np.zeros(len(data.ids), dtype=bool)
    order = sorted(range(len(data.ids)), key=lambda index: len(data.ids[index]))
    for start in range(0, len(order), _ROWS_AT_ONCE):
        rows = order[start : start + _ROWS_AT_ONCE]
        ids_BT, real_BT = padded([data.ids[index] for index in rows])
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            logits_BY = classifier(ids_BT.to(device), real_BT.to(device)).float()
        if allowed is not None:
            barred = torch.ones(logits_BY.shape[1], dtype=torch.bool, device=device)
            barred[list(allowed)] = False
            logits_BY = logits_BY.masked_fill(barred, -math.inf)
        labels_B = torch.as_tensor([data.labels[index] for index in rows], device=device)
        right[rows] = logits_BY.argmax(1).eq(labels_B).cpu().numpy()
    return right
