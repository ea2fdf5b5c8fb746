"""Retrieval without training: the nearest sentence by cosine of mean-pooled states, in both directions.

The states are those of the layer two thirds up, the rule by which XTREME takes layer 8 of 12; the accuracy of every
layer stands in the details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.batches.stream import BEGIN_ID
from harness.corpus.tokenizer import END_ID
from harness.evaluate.batching import padded, scoring_batches, tokens_at_once
from harness.evaluate.data import Data, read_pairs
from harness.evaluate.intervals import sureness
from harness.evaluate.rows import Encodes
from harness.evaluate.task import PairItem, Retrieval
from models.heads import mean_state
from models.transformers_encoder import Body
from sweeps.errors import BadInput

_MOST_TOKENS = 128
States = npt.NDArray[np.float32]


def score_retrieval(
    task: Retrieval, data: Data, languages: Sequence[str], tokenizer: Encodes, encoder: Body, *, bf16: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """Records of each language, and a sentence for each that could not be scored."""
    records, problems = [], []
    for language in languages:
        try:
            pairs = read_pairs(task, data, language)
        except BadInput as problem:
            problems.append(f"{language} is not scored: {problem}")
            continue
        records.append(_record(task, language, pairs, tokenizer, encoder, bf16=bf16))
    return records, problems


def _record(
    task: Retrieval, language: str, pairs: Sequence[PairItem], tokenizer: Encodes, encoder: Body, *, bf16: bool
) -> dict[str, Any]:
    left = layer_states([pair.text for pair in pairs], tokenizer, encoder, bf16=bf16)
    right = layer_states([pair.translation for pair in pairs], tokenizer, encoder, bf16=bf16)
    there = [nearest(one, other) for one, other in zip(left, right, strict=True)]
    back = [nearest(other, one) for one, other in zip(left, right, strict=True)]
    by_layer = [float((forth.mean() + again.mean()) / 2) for forth, again in zip(there, back, strict=True)]
    layer = chosen_layer(len(by_layer))
    each = (there[layer - 1].astype(float) + back[layer - 1]) / 2
    sure = sureness("mean", [each], name=f"{task.name} {language}")
    return {
        "task": task.name,
        "split": task.test_split,
        "language": language,
        "metric": "accuracy",
        "value": by_layer[layer - 1],
        "standard_error": sure.standard_error,
        "n": len(pairs),
        "details": {
            "interval": [sure.low, sure.high],
            "chance": 1 / len(pairs),
            "layer": layer,
            "by_layer": by_layer,
            "to_english": float(there[layer - 1].mean()),
            "from_english": float(back[layer - 1].mean()),
        },
    }


def chosen_layer(layers: int) -> int:
    """The layer, counted from 1."""
    return max(1, round(2 * layers / 3))


def nearest(queries: States, candidates: States) -> npt.NDArray[np.bool_]:
    """Whether the candidate of a query's own number is the nearest, (queries,)."""
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9) for rows in (queries, candidates)]
    found: npt.NDArray[np.bool_] = (unit[0] @ unit[1].T).argmax(axis=1) == np.arange(len(queries))
    return found


@torch.no_grad()
def layer_states(texts: Sequence[str], tokenizer: Encodes, encoder: Body, *, bf16: bool) -> list[States]:
    """Mean-pooled states of each layer, (texts, D) each."""
    encoder.eval()
    device = next(encoder.parameters()).device
    most = min(_MOST_TOKENS, encoder.config.positions)
    rows = [[BEGIN_ID, *ids[: most - 2], END_ID] for ids in tokenizer.encode(texts)]
    found = [np.zeros((len(texts), encoder.config.width), dtype=np.float32) for _ in encoder.blocks]
    seen: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: seen.append(out)) for block in encoder.blocks]
    try:
        for batch in scoring_batches(rows, tokens_at_once(device)):
            ids_BT, real_BT = (part.to(device) for part in padded([rows[index] for index in batch]))
            seen.clear()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                encoder(ids_BT, padded=True)
            for layer, hidden_BTD in enumerate(seen):
                found[layer][batch] = mean_state(hidden_BTD.float(), real_BT).cpu().numpy()
    finally:
        for hook in hooks:
            hook.remove()
    return found
