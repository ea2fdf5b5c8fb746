"""Encoders of transformers in their own classes are fine-tuned, saved on the way and taken up again like ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from learnable import RECIPE, Letters, Which

from harness.evaluate.benchmark import Benchmark
from harness.evaluate.driven import Means
from harness.evaluate.sides import Protocol
from harness.store import read_json
from harness.train.errors import Stopped
from harness.train.heartbeat import StopFlag
from models.transformers_encoder import Marks, TransformersEncoder

transformers = pytest.importorskip("transformers")


def esm(seed: int = 0) -> TransformersEncoder:
    """A class that holds weights which the states do not need."""
    fields = transformers.EsmConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        pad_token_id=1, mask_token_id=399, position_embedding_type="rotary", max_position_embeddings=64,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(1)
    return TransformersEncoder(transformers.EsmModel(fields, add_pooling_layer=False), Marks(0, 1, 2), 64)


def test_only_weights_that_the_states_need_are_trained() -> None:
    made = esm()
    frozen = {name for name, parameter in made.named_parameters() if not parameter.requires_grad}
    assert frozen and all("contact_head" in name for name in frozen)
    assert all(parameter.grad is None for parameter in made.parameters())


class StopsAt(StopFlag):
    """A stop that is asked for after some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    @property
    def raised(self) -> bool:  # type: ignore[override]
        self.left -= 1
        return self.left < 0

    @raised.setter
    def raised(self, value: bool) -> None:
        pass


def test_a_fine_tuning_of_such_a_class_is_stopped_and_ends_as_if_it_had_not_been(tmp_path: Path, means: Means) -> None:
    protocol = Protocol(
        tmp_path, rates=(1e-2,), seeds=(0,), recipe=replace(RECIPE, epochs=2), select="source", languages=("en",)
    )

    def kept(folder: str, means: Means) -> object:
        Benchmark(Which(), protocol, Letters(), esm, tmp_path / folder, means).run()
        (path,) = (tmp_path / folder).glob("en-*.json")
        return read_json(path)["languages"]

    with pytest.raises(Stopped):
        kept("stopped", replace(means, stop=StopsAt(15), checkpoint_seconds=0.0))
    assert kept("stopped", means) == kept("whole", means)
