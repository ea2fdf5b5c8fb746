"""Score one task of a trained run: from its canonical weights to records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from harness.evaluate.heldout import score_heldout
from harness.evaluate.intent_task import score_intents
from harness.prepare import open_shards, open_tokenizer
from harness.store import Store
from models.heads import MaskedLM
from models.sizes import EncoderConfig


def load_model(weights: Path, science: Mapping[str, Any]) -> MaskedLM:
    """The trained model on this machine's device, in fp32."""
    model = MaskedLM(EncoderConfig(**science["model"]))
    state = load_file(weights)
    # The tied table is stored once, under its first name.
    state["decoder.weight"] = state["encoder.embedding.tokens.weight"]
    model.load_state_dict(state)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def score_task(store: Store, weights: Path, science: Mapping[str, Any], task: str) -> list[dict[str, Any]]:
    """Records of one task, without run and step."""
    model = load_model(weights, science)
    bf16 = science["precision"] == "bf16"
    if task == "heldout":
        return score_heldout(
            model,
            open_shards(store, science, "heldout"),
            open_shards(store, science, "train"),
            tokens_per_row=science["row_tokens"],
            mask_rate=science["mask_rate"],
            bf16=bf16,
        )
    tokenizer = open_tokenizer(store, science)
    return score_intents(store, model, tokenizer, science["languages"], seed=science["seed"], bf16=bf16)
