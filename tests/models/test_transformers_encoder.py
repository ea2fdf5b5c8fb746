"""A model of transformers stands in the place of our encoder: the same rows in, its own states out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.heads import SequenceClassifier, build_masked_lm
from models.huggingface import transformers_config
from models.huggingface_weights import transformers_weights
from models.sizes import EncoderConfig
from models.transformers_encoder import FIRST_ID, Marks, TransformersEncoder, drawn, pretrained

transformers = pytest.importorskip("transformers")

BERT = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 40,
}  # fmt: skip
MARKS = Marks(begin=11, pad=0, end=12)
ROWS = torch.tensor([[0, 20, 33, 52, 2, 1, 1], [0, 21, 33, 40, 41, 50, 2]])
"""Two rows with our marks; the first one ends in padding."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    transformers.BertForMaskedLM(transformers.BertConfig(**BERT)).save_pretrained(tmp_path)
    return tmp_path


def test_states_are_those_of_the_model_on_its_own_ids(folder: Path) -> None:
    encoder = TransformersEncoder(pretrained(folder), MARKS, longest=512).eval()
    own = ROWS - FIRST_ID
    own[ROWS == 0], own[ROWS == 1], own[ROWS == 2] = MARKS.begin, MARKS.pad, MARKS.end
    model = transformers.AutoModel.from_pretrained(folder).eval()
    wanted = model(input_ids=own, attention_mask=(ROWS != 1).long()).last_hidden_state
    torch.testing.assert_close(encoder(ROWS, padded=True), wanted)
    alone = encoder(ROWS[:1, :5], padded=True)
    torch.testing.assert_close(encoder(ROWS, padded=True)[:1, :5], alone, msg="padding is not looked at")


def test_our_modern_encoder_gives_the_same_states_through_its_exported_class(tmp_path: Path) -> None:
    config = EncoderConfig(
        kind="modern", vocabulary=60, width=16, layers=2, heads=2, feedforward=32, positions=64, gated=False
    )
    ours = build_masked_lm(config, 3).eval()
    model = transformers.AutoModelForMaskedLM.from_config(transformers.EsmConfig(**transformers_config(config)))
    model.load_state_dict(transformers_weights(ours), strict=False)
    model.save_pretrained(tmp_path)
    theirs = TransformersEncoder(pretrained(tmp_path), Marks(0, 1, 2), longest=64).eval()
    shifted = torch.where(ROWS < FIRST_ID, ROWS, ROWS + FIRST_ID)
    real = ROWS != 1
    torch.testing.assert_close(theirs(shifted)[real], ours.encoder(ROWS, padded=True)[real], atol=2e-5, rtol=1e-4)


def test_every_weight_of_a_body_is_trained_and_every_layer_shows_its_states(folder: Path) -> None:
    encoder = TransformersEncoder(pretrained(folder), MARKS, longest=512)
    seen: list[torch.Size] = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda _m, _i, out: seen.append(out.shape))
    head = SequenceClassifier(encoder, 3, pool="mean", dropout=0.0, seed=0)
    head(ROWS, ROWS != 1).sum().backward()
    assert seen == [torch.Size([2, 7, 16])] * 2
    assert [name for name, weight in head.named_parameters() if weight.grad is None] == []


def test_a_control_is_drawn_by_its_seed_and_leaves_the_worlds_randomness_alone(folder: Path) -> None:
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (drawn(folder, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), before)
    name = "embeddings.word_embeddings.weight"
    assert torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name])


@pytest.mark.parametrize(("name", "offset"), [("Bert", 0), ("Roberta", 2)])
def test_rows_are_no_longer_than_the_position_table_and_the_tokenizer_allow(
    name: str, offset: int, tmp_path: Path
) -> None:
    fields = getattr(transformers, f"{name}Config")(**BERT | {"pad_token_id": 1})
    getattr(transformers, f"{name}ForMaskedLM")(fields).save_pretrained(tmp_path)
    model = pretrained(tmp_path)
    assert TransformersEncoder(model, MARKS, longest=1000).config.positions == 40 - offset
    assert TransformersEncoder(model, MARKS, longest=30).config.positions == 30
    longest = torch.full((1, 40 - offset), 30)
    assert TransformersEncoder(model, MARKS, longest=1000)(longest).shape == (1, 40 - offset, 16)


def test_a_folder_that_holds_no_encoder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no config\.json that transformers can read"):
        pretrained(tmp_path)
    transformers.BertConfig(**BERT).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no weights that transformers can read"):
        pretrained(tmp_path)
    transformers.T5Config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="which has a decoder"):
        pretrained(tmp_path)
