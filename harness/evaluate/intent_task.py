"""The demo's zero-shot task: intent classification, fine-tuned on English, scored in every language of the run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.corpus.tokenizer import Tokenizer
from harness.evaluate import intents
from harness.evaluate.intent_items import intent_items
from harness.evaluate.zeroshot import SOURCE, FineTuning, correct, encode_items, fine_tune
from harness.store import Store
from models.heads import MaskedLM
from sweeps.errors import BadInput


def score_intents(
    store: Store, model: MaskedLM, tokenizer: Tokenizer, languages: Sequence[str], *, seed: int, bf16: bool
) -> list[dict[str, Any]]:
    """Records of every language that has intents: accuracy, with chance and majority level of that language's items.

    A language is scored on the intents it has, and answers are restricted to them. Raises BadInput when the run has
    no English to fine-tune on.
    """
    if SOURCE not in languages:
        raise BadInput("the task intents fine-tunes on English, and the run's languages lack en: leave intents out")
    most_tokens = model.encoder.config.positions
    source = intent_items(store, SOURCE)
    labels = list(intents.LABELS)
    recipe = FineTuning()
    classifier = fine_tune(
        model,
        encode_items(source.train, labels, tokenizer, most_tokens),
        encode_items(source.dev, labels, tokenizer, most_tokens),
        len(labels),
        recipe=recipe,
        seed=seed,
        bf16=bf16,
    )
    covered = set(intents.languages())
    records: list[dict[str, Any]] = []
    for language in languages:
        if language not in covered:
            continue
        data = source if language == SOURCE else intent_items(store, language)
        encoded = encode_items(data.test, labels, tokenizer, most_tokens)
        present = sorted(set(encoded.labels))
        if len(present) < 2:
            continue
        right = correct(classifier, encoded, bf16=bf16, allowed=present)
        accuracy, items = float(right.mean()), len(right)
        majority = max(encoded.labels.count(label) for label in present) / items
        records.append(
            {
                "task": "intents",
                "split": "test",
                "language": language,
                "metric": "accuracy",
                "value": accuracy,
                "standard_error": _clustered_error(right, [item.template for item in data.test]),
                "n": items,
                "details": {
                    "chance": 1 / len(present),
                    "majority": majority,
                    "classes": len(present),
                    "templates": len({item.template for item in data.test}),
                    "intents_package": intents.version(),
                },
            }
        )
    return records


def _clustered_error(right: npt.NDArray[np.bool_], templates: Sequence[str]) -> float:
    """Standard error of the accuracy with templates as the sampling unit: sentences of one template are alike."""
    mean = float(right.mean())
    sums: dict[str, float] = defaultdict(float)
    for template, value in zip(templates, right, strict=True):
        sums[template] += float(value) - mean
    clusters = len(sums)
    if clusters < 2:
        return math.sqrt(mean * (1 - mean) / len(right))
    return math.sqrt(sum(value * value for value in sums.values()) * clusters / (clusters - 1)) / len(right)
