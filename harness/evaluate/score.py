"""Score one task of a trained run: from its canonical weights to records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from harness.branches import WEIGHTS
from harness.evaluate.heldout import score_heldout
from harness.evaluate.intent_task import score_intents
from harness.evaluate.stage import score_stage
from harness.prepare import open_shards, open_tokenizer
from harness.store import Store, read_json
from models.encoder import Encoder
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


def score_task(store: Store, folder: Path, science: Mapping[str, Any], task: str) -> list[dict[str, Any]]:
    """Records of one stage of the run in `folder`, without run and step."""
    weights = folder / WEIGHTS
    bf16 = science["precision"] == "bf16"
    if task == "heldout":
        return score_heldout(
            load_model(weights, science),
            open_shards(store, science, "heldout"),
            open_shards(store, science, "train"),
            tokens_per_row=science["row_tokens"],
            mask_rate=science["mask_rate"],
            bf16=bf16,
        )
    tokenizer = open_tokenizer(store, science)
    if task == "intents":
        model = load_model(weights, science)
        return score_intents(store, model, tokenizer, science["languages"], seed=science["seed"], bf16=bf16)

    def make_encoder() -> Encoder:
        # Two texts stand in one row with a </s> between them, which must not part them.
        return load_model(weights, {**science, "model": {**science["model"], "attention": "row"}}).encoder

    return score_stage(
        read_json(store.stage(task)),
        task,
        tokenizer,
        make_encoder,
        folder / "tasks" / task,
        languages=science["languages"],
        bf16=bf16,
    )
