"""Promises of the network: masked-only equals all positions, padding is not seen, seeds decide weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from models.encoder import Encoder
from models.heads import SequenceClassifier, build_masked_lm
from models.sizes import END_ID, PAD_ID, EncoderConfig

FORMS = pytest.mark.parametrize("form", ["xlm-r", "modern", "gated"])


def config(form: str, dropout: float = 0.0) -> EncoderConfig:
    return EncoderConfig(
        kind="xlm-r" if form == "xlm-r" else "modern",
        gated=form == "gated",
        vocabulary=120,
        width=32,
        layers=2,
        heads=2,
        feedforward=64,
        positions=24,
        dropout=dropout,
    )


def some_ids(rows: int, tokens: int) -> torch.Tensor:
    ids = torch.randint(4, 119, (rows, tokens), generator=torch.Generator().manual_seed(1))
    ids[:, 0] = 0
    return ids


@FORMS
@pytest.mark.parametrize("attention", ["row", "document"])
def test_the_loss_at_masked_positions_is_the_loss_of_all_positions_there(form: str, attention: str) -> None:
    model = build_masked_lm(replace(config(form), attention=attention), 0).eval()
    ids, labels = some_ids(4, 20), some_ids(4, 20).flip(0)
    ids[:, [4, 11, 12]] = END_ID
    index = torch.tensor([3, 19, 20, 39, 41, 42, 60, 79])
    everywhere = model.logits(model.encoder(ids).flatten(0, 1))
    expected = F.cross_entropy(everywhere, labels.flatten(), reduction="none")[index]
    torch.testing.assert_close(model(ids, index, labels.flatten()[index]), expected, atol=1e-6, rtol=1e-6)


@FORMS
def test_gradients_of_masked_positions_are_those_of_all_positions(form: str) -> None:
    ids, index = some_ids(2, 12), torch.tensor([1, 5, 13, 22])
    labels = torch.tensor([7, 9, 11, 13])
    lean, full = build_masked_lm(config(form), 0), build_masked_lm(config(form), 0)
    lean(ids, index, labels).mean().backward()
    F.cross_entropy(full.logits(full.encoder(ids).flatten(0, 1))[index], labels).backward()
    for (name, mine), (_, theirs) in zip(lean.named_parameters(), full.named_parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-6, rtol=1e-4, msg=name)


@FORMS
def test_padding_does_not_change_the_states_of_real_tokens(form: str) -> None:
    encoder = build_masked_lm(config(form), 0).eval().encoder
    ids = some_ids(3, 10)
    alone = encoder(ids)
    padded = torch.cat([ids, torch.full((3, 7), PAD_ID)], dim=1)
    torch.testing.assert_close(encoder(padded, padded=True)[:, :10], alone, atol=1e-5, rtol=1e-5)


@FORMS
def test_a_classifier_does_not_see_how_far_its_batch_is_padded(form: str) -> None:
    encoder = build_masked_lm(config(form), 0).encoder
    classifier = SequenceClassifier(encoder, 5, pool="mean", dropout=0.0, seed=3).eval()
    ids = some_ids(3, 10)
    padded = torch.cat([ids, torch.full((3, 9), PAD_ID)], dim=1)
    one, other = classifier(ids, ids.ne(PAD_ID)), classifier(padded, padded.ne(PAD_ID))
    assert one.shape == (3, 5)
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@FORMS
def test_order_matters_to_the_encoder(form: str) -> None:
    encoder = build_masked_lm(config(form), 0).eval().encoder
    ids = some_ids(1, 10)
    swapped = ids.clone()
    swapped[0, 3], swapped[0, 7] = ids[0, 7], ids[0, 3]
    assert (encoder(ids)[0, 1] - encoder(swapped)[0, 1]).abs().max() > 1e-6


def test_rotary_states_depend_on_distances_alone() -> None:
    """The same tokens later in the row, behind padding that nobody sees, have the same states."""
    encoder = build_masked_lm(config("modern"), 0).eval().encoder
    ids = some_ids(1, 8)
    later = torch.cat([torch.full((1, 6), PAD_ID), ids], dim=1)
    torch.testing.assert_close(encoder(later, padded=True)[:, 6:], encoder(ids), atol=1e-5, rtol=1e-5)


@FORMS
def test_equal_seeds_give_equal_weights_and_others_do_not(form: str) -> None:
    one, same, other = (build_masked_lm(config(form), seed).state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not torch.equal(one["encoder.blocks.0.qkv.weight"], other["encoder.blocks.0.qkv.weight"])


@FORMS
def test_building_leaves_the_global_generator_out_of_it(form: str) -> None:
    torch.manual_seed(1)
    one = build_masked_lm(config(form), 7).state_dict()
    torch.manual_seed(2)
    assert all(torch.equal(value, one[name]) for name, value in build_masked_lm(config(form), 7).state_dict().items())


@FORMS
def test_an_untrained_model_guesses_evenly(form: str) -> None:
    model = build_masked_lm(config(form), 0).eval()
    ids = some_ids(16, 20)
    index = torch.arange(1, 320, 4)
    loss = model(ids, index, some_ids(16, 20).flip(0).flatten()[index]).mean().item()
    assert abs(loss - math.log(120)) < 0.7


@FORMS
def test_the_output_table_is_the_input_table(form: str) -> None:
    model = build_masked_lm(config(form), 0)
    assert model.decoder.weight is model.encoder.embedding.tokens.weight


@FORMS
def test_dropout_acts_in_training_and_not_in_evaluation(form: str) -> None:
    encoder = build_masked_lm(config(form, dropout=0.3), 0).encoder
    ids = some_ids(2, 10)
    assert not torch.equal(encoder.train()(ids), encoder(ids))
    assert torch.equal(encoder.eval()(ids), encoder(ids))


@FORMS
def test_rows_longer_than_the_positions_are_refused(form: str) -> None:
    with pytest.raises(ValueError, match="rows of 25 tokens, but the model has 24 positions"):
        Encoder(config(form))(some_ids(1, 25))


@FORMS
def test_attention_within_documents_never_looks_across(form: str) -> None:
    blocked = replace(config(form), attention="document")
    encoder = build_masked_lm(blocked, 0).eval().encoder
    ids = some_ids(2, 20)
    ids[:, 7] = ids[:, 15] = END_ID
    before = encoder(ids)
    ids[:, 9] = 5  # inside the second document
    after = encoder(ids)
    torch.testing.assert_close(after[:, :8], before[:, :8], atol=0, rtol=0)
    torch.testing.assert_close(after[:, 16:], before[:, 16:], atol=0, rtol=0)
    assert (after[:, 8:16] - before[:, 8:16]).abs().amax((0, 2)).min() > 1e-4, "all of its own document sees it"


def test_a_document_has_the_states_it_has_alone() -> None:
    """Rotary positions are relative, so a document further along a row is the same document."""
    encoder = build_masked_lm(replace(config("modern"), attention="document"), 0).eval().encoder
    ids = some_ids(1, 20)
    ids[:, 7] = END_ID
    together = encoder(ids)
    torch.testing.assert_close(together[:, :8], encoder(ids[:, :8]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together[:, 8:], encoder(ids[:, 8:]), atol=1e-5, rtol=1e-5)


def test_padding_does_not_change_a_document_either() -> None:
    encoder = build_masked_lm(replace(config("xlm-r"), attention="document"), 0).eval().encoder
    ids = some_ids(2, 10)
    ids[:, 9] = END_ID
    padded = torch.cat([ids, torch.full((2, 5), PAD_ID)], dim=1)
    torch.testing.assert_close(encoder(padded, padded=True)[:, :10], encoder(ids), atol=1e-5, rtol=1e-5)


def test_a_gated_feed_forward_is_geglu() -> None:
    block = build_masked_lm(config("gated"), 0).encoder.blocks[0]
    x_TD = torch.randn(5, 32, generator=torch.Generator().manual_seed(2))
    open_F, value_F = block.up.weight[:64], block.up.weight[64:]
    expected = (F.gelu(x_TD @ open_F.T) * (x_TD @ value_F.T)) @ block.down.weight.T
    torch.testing.assert_close(block.feed(x_TD), expected)


def test_the_matrices_of_a_gated_feed_forward_are_drawn_as_the_others_are() -> None:
    wide = replace(config("gated"), width=256, heads=4, feedforward=512)
    block = build_masked_lm(wide, 0).encoder.blocks[1]
    assert block.up.weight.shape == (1024, 256) and block.down.weight.shape == (256, 512)
    assert block.up.weight.std().item() == pytest.approx(256**-0.5, rel=0.02)
    assert block.down.weight.std().item() == pytest.approx(512**-0.5 / 2, rel=0.02)  # two layers: sqrt(2 x 2) smaller


def test_a_model_that_is_not_gated_has_the_weights_it_always_had() -> None:
    """Finished runs are continued and scored by these names and shapes."""
    names = {name: tuple(value.shape) for name, value in build_masked_lm(config("modern"), 0).state_dict().items()}
    assert names["encoder.blocks.0.up.weight"] == (64, 32) and names["encoder.blocks.0.down.weight"] == (32, 64)


@FORMS
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_checkpointed_blocks_change_neither_loss_nor_gradients(form: str, dropout: float) -> None:
    """To the bit: each block is computed again from the same input, with the same dropout."""
    ids, index, labels = some_ids(3, 20), torch.tensor([3, 19, 21, 39, 42, 58]), torch.tensor([7, 9, 11, 12, 13, 15])
    results = []
    for checkpointed in (False, True):
        model = build_masked_lm(config(form, dropout), 0).train()
        model.encoder.checkpoint_blocks = checkpointed
        calls: list[int] = []
        model.encoder.blocks[0].register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        torch.manual_seed(4)
        loss = model(ids, index, labels).mean()
        loss.backward()
        assert len(calls) == (2 if checkpointed else 1)
        results.append((loss.detach(), {name: value.grad for name, value in model.named_parameters()}))
    (loss, gradients), (again, same) = results
    assert torch.equal(loss, again)
    for name, gradient in gradients.items():
        assert gradient is not None and torch.equal(gradient, same[name]), name


def test_checkpointing_leaves_evaluation_alone() -> None:
    encoder = build_masked_lm(config("modern"), 0).eval().encoder
    expected = encoder(some_ids(2, 10))
    encoder.checkpoint_blocks = True
    assert torch.equal(encoder(some_ids(2, 10)), expected)
