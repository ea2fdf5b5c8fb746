"""Promises of the chunked loss: the plain one's value and gradients, whatever the chunks; never all logits in fp32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.cross_entropy import mean_cross_entropy
from models.heads import build_masked_lm
from models.sizes import EncoderConfig


def problem(positions: int, vocabulary: int, width: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(hidden, table, bias) that want gradients, and labels."""
    draw = torch.Generator().manual_seed(positions * 1009 + vocabulary)
    hidden = torch.randn(positions, width, generator=draw) * scale
    table, bias = torch.randn(vocabulary, width, generator=draw), torch.randn(vocabulary, generator=draw)
    labels = torch.randint(0, vocabulary, (positions,), generator=draw)
    return hidden.requires_grad_(), table.requires_grad_(), bias.requires_grad_(), labels


def gradients(loss: Tensor, *of: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, of))


@given(
    positions=st.integers(1, 40),
    vocabulary=st.integers(2, 90),
    chunk_rows=st.integers(1, 50),
    block_rows=st.integers(1, 50),
    upstream=st.sampled_from([1.0, 0.25, -3.0]),
)
@settings(max_examples=60, deadline=None)
def test_any_chunking_gives_the_plain_loss_and_gradients(
    positions: int, vocabulary: int, chunk_rows: int, block_rows: int, upstream: float
) -> None:
    hidden, table, bias, labels = problem(positions, vocabulary, 6)
    row = 4 * vocabulary
    ours = mean_cross_entropy(hidden, table, bias, labels, chunk_bytes=chunk_rows * row, block_bytes=block_rows * row)
    plain = F.cross_entropy(F.linear(hidden, table, bias), labels)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    mine, theirs = (gradients(loss * upstream, hidden, table, bias) for loss in (ours, plain))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_logits_that_would_overflow_a_plain_exponential_give_a_finite_loss() -> None:
    hidden, table, bias, labels = problem(8, 50, 6, scale=1000.0)
    loss = mean_cross_entropy(hidden, table, bias, labels)
    torch.testing.assert_close(loss, F.cross_entropy(F.linear(hidden, table, bias), labels))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients(loss, hidden, table, bias))


def test_bf16_products_stay_as_near_to_fp32_as_the_plain_loss_does() -> None:
    hidden, table, bias, labels = problem(64, 500, 32, scale=0.2)
    exact = gradients(F.cross_entropy(F.linear(hidden, table, bias), labels), hidden, table, bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain = F.cross_entropy(F.linear(hidden, table, bias).float(), labels)
        ours = mean_cross_entropy(hidden, table, bias, labels, chunk_bytes=16 * 500 * 2)
    for true, one, other in zip(
        exact, gradients(ours, hidden, table, bias), gradients(plain, hidden, table, bias), strict=True
    ):
        assert one.dtype == torch.float32
        assert (one - true).norm() <= 1.2 * (other - true).norm() + 1e-7


class LargestFloat(TorchDispatchMode):
    """Elements of the largest fp32 tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype == torch.float32:
            self.elements = max(self.elements, result.numel())
        return result


def test_full_logits_never_stand_in_fp32() -> None:
    positions, vocabulary = 96, 20_000
    hidden, table, bias, labels = problem(positions, vocabulary, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16), LargestFloat() as seen:
        mean_cross_entropy(hidden, table, bias, labels, block_bytes=4 * vocabulary * 4).backward()
    assert table.numel() <= seen.elements < positions * vocabulary / 4


@pytest.mark.parametrize("kind", ["xlm-r", "modern"])
def test_the_training_loss_is_the_mean_of_the_scores_with_equal_gradients(kind: str) -> None:
    config = EncoderConfig(kind=kind, vocabulary=90, width=32, layers=2, heads=2, feedforward=64, positions=16)  # type: ignore[arg-type]
    lean, plain = build_masked_lm(config, 0), build_masked_lm(config, 0)
    ids = torch.randint(4, 89, (3, 16), generator=torch.Generator().manual_seed(0))
    ids[:, 5:8] = 7  # a piece that comes often: its row of the table gathers many gradients
    index, labels = torch.tensor([1, 6, 18, 30, 40, 47]), torch.tensor([7, 80, 7, 5, 9, 61])
    mine, theirs = lean.mean_loss(ids, index, labels), plain(ids, index, labels).mean()
    torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-6)
    mine.backward()  # type: ignore[no-untyped-call]
    theirs.backward()
    for (name, one), (_, other) in zip(lean.named_parameters(), plain.named_parameters(), strict=True):
        assert one.grad is not None and not one.grad.is_sparse
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4, msg=name)
