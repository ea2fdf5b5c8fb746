"""What the split promises: it depends on content alone, and no text stands on two sides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.corpus.artefact import text_bytes
from harness.corpus.split import is_heldout, split_documents

DOCUMENTS = st.lists(st.text(alphabet="abcdé日 \n", min_size=1, max_size=12), max_size=60)


@given(documents=DOCUMENTS, order=st.randoms(use_true_random=False))
def test_the_order_of_the_input_moves_no_document(documents: list[str], order: object) -> None:
    shuffled = list(documents)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = split_documents(documents, 0.2, 10), split_documents(shuffled, 0.2, 10)
    assert set(first.train) == set(second.train)
    assert set(first.heldout) == set(second.heldout)


@given(documents=DOCUMENTS, share=st.floats(0.05, 0.5), floor=st.integers(1, 100))
def test_no_text_stands_twice_or_on_two_sides_and_none_is_lost(documents: list[str], share: float, floor: int) -> None:
    split = split_documents(documents, share, floor)
    kept = split.train + split.heldout
    assert len(kept) == len(set(kept))
    assert set(kept) == set(documents)
    assert len(kept) + split.duplicates == len(documents)


@given(documents=DOCUMENTS, share=st.floats(0.05, 0.5), floor=st.integers(1, 100))
def test_the_heldout_side_meets_share_and_floor_to_within_a_document(
    documents: list[str], share: float, floor: int
) -> None:
    split = split_documents(documents, share, floor)
    total, heldout = text_bytes(set(documents)), text_bytes(split.heldout)
    wanted = max(share * total, floor)
    assert heldout >= min(wanted, total)
    assert heldout < wanted + max(map(text_bytes, ([document] for document in documents)), default=1)


@given(documents=DOCUMENTS)
def test_both_sides_keep_the_order_of_the_input(documents: list[str]) -> None:
    split = split_documents(documents, 0.3, 5)
    for side in (split.train, split.heldout):
        assert side == sorted(side, key=documents.index)


def test_keys_are_held_out_at_about_the_share_and_a_salt_redraws_them() -> None:
    keys = [f"component-{number}" for number in range(2000)]
    held = {key for key in keys if is_heldout(key, 0.1)}
    assert 150 < len(held) < 250
    assert held != {key for key in keys if is_heldout(key, 0.1, "other")}
    assert held == {key for key in reversed(keys) if is_heldout(key, 0.1)}
