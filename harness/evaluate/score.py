"""Score one task of a trained run: from its canonical weights to records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from harness.batches.keyed import key
from harness.branches import WEIGHTS
from harness.evaluate.driven import Means
from harness.evaluate.heldout import score_heldout
from harness.evaluate.intent_task import score_intents
from harness.evaluate.stage import score_stage
from harness.launch.stages import as_submitted
from harness.prepare import open_shards, open_tokenizer
from harness.store import Store, read_json
from models.encoder import Encoder
from models.heads import MaskedLM, build_masked_lm
from models.sizes import EncoderConfig


def load_model(weights: Path, science: Mapping[str, Any]) -> MaskedLM:
    """The trained model on this machine's device, in fp32."""
    model = MaskedLM(EncoderConfig(**science["model"]))
    state = load_file(weights)
    # The tied table is stored once, under its first name.
    state["decoder.weight"] = state["encoder.embedding.tokens.weight"]
    model.load_state_dict(state)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Trained:
    """The encoder of a run (`harness.evaluate.stage.Encoders`)."""

    weights: Path
    science: Mapping[str, Any]

    def trained(self) -> Encoder:
        return load_model(self.weights, self.science).encoder

    def untrained(self, seed: int) -> Encoder:
        config = EncoderConfig(**self.science["model"])
        return build_masked_lm(config, key(seed, "weights") >> 1).encoder


def score_built_in(store: Store, folder: Path, science: Mapping[str, Any], task: str) -> list[dict[str, Any]]:
    """Records of heldout or intents of the run in `folder`, without run and step; one rank's work."""
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
    assert task == "intents", task
    tokenizer, model = open_tokenizer(store, science), load_model(weights, science)
    return score_intents(store, model, tokenizer, science["languages"], seed=science["seed"], bf16=bf16)


def score_benchmark(
    store: Store, folder: Path, science: Mapping[str, Any], stage: str, means: Means, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Records of a benchmark stage. Called by all ranks. Raises Stopped with everything kept, and BadInput where the
    benchmark's files have changed since the study was submitted."""
    block = read_json(store.stage(stage))
    as_submitted(store, stage, block)
    # Two texts stand in one row with a </s> between them, which must not part them.
    rowwise = {**science, "model": {**science["model"], "attention": "row"}}
    return score_stage(
        block,
        stage,
        open_tokenizer(store, science),
        Trained(folder / WEIGHTS, rowwise),
        folder / "tasks" / stage,
        languages=science["languages"],
        means=means,
        say=say,
    )
