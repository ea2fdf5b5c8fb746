"""Tokenizers: what they are trained on, what they refuse, what they record."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SENTENCES, documents, make_corpus

from harness.corpus.artefact import Corpus, LanguageText, write_corpus
from harness.corpus.documents import Documents, write_documents
from harness.corpus.tokenizer import MODEL_FILE, Tokenizer, TokenizerSpec, ensure_tokenizer, tokenizer_damage
from harness.corpus.tokenizer_stats import count_words
from harness.corpus.tokenizer_text import MOST_LINE_BYTES, sampled_lines
from harness.prepare import tokenizer_spec
from harness.store import Store
from sweeps.errors import BadInput
from sweeps.grid import expand
from sweeps.study import parse_study

LANGUAGES = tuple(SENTENCES)
SPEC = TokenizerSpec(languages=LANGUAGES, vocabulary=600, alpha=0.3, sample_bytes=60_000)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("tokenizers"))


@pytest.fixture(scope="module")
def corpus(store: Store) -> Corpus:
    return make_corpus(store, "tiny", {code: 60 + 20 * number for number, code in enumerate(LANGUAGES)})


def model_bytes(store: Store, corpus: Corpus, spec: TokenizerSpec) -> bytes:
    return (ensure_tokenizer(store, corpus, spec).folder / MODEL_FILE).read_bytes()


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """10,000 documents, more than are drawn at once, each saying its number."""
    path = tmp_path_factory.mktemp("numbered") / "en.txt"
    write_documents(path, (f"document {number}\nits second line" for number in range(10_000)))
    return Documents(path)


@settings(max_examples=12)
@given(share=st.floats(0.001, 2.5), seed=st.integers(0, 5))
def test_a_language_fills_its_share_without_replacement_until_it_is_used_up(
    numbered: Documents, share: float, seed: int
) -> None:
    whole = numbered.bytes_of(0, len(numbered))
    lines = list(sampled_lines({"en": numbered}, {"en": share * whole}, seed))
    drawn = Counter(line for line in lines if line.startswith("document"))
    given_bytes = sum(len(line) + 1 for line in lines) - sum(drawn.values())  # the line feed inside a document counts
    assert share * whole <= given_bytes < share * whole + 40
    assert max(drawn.values()) - (min(drawn.values()) if len(drawn) == len(numbered) else 0) <= 1


def test_the_sample_is_a_function_of_its_seed_alone(numbered: Documents) -> None:
    def draw(seed: int) -> list[str]:
        return list(sampled_lines({"en": numbered}, {"en": 3e4}, seed))

    assert draw(1) == draw(1)
    assert set(draw(1)) != set(draw(2))


def test_lines_that_sentencepiece_would_drop_are_cut_and_lose_nothing(tmp_path: Path) -> None:
    spaced, unspaced = "слово " * 2_000 + "конец", "日本語" * 3_000
    write_documents(tmp_path / "xx.txt", [f"{spaced}\n{unspaced}"])
    lines = list(sampled_lines({"xx": Documents(tmp_path / "xx.txt")}, {"xx": 1.0}, 0))
    assert all(0 < len(line.encode()) <= MOST_LINE_BYTES for line in lines)
    assert "".join(lines).replace(" ", "") == (spaced + unspaced).replace(" ", "")
    assert {word for line in lines for word in line.split()} >= {"слово", "конец"}
    assert not [line for line in lines if "сло" in line and set(line.split()) - {"слово", "конец"}]


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_the_same_text_and_spec_give_the_same_bytes(
    tmp_path: Path, store: Store, corpus: Corpus, algorithm: str
) -> None:
    spec = replace(SPEC, algorithm=algorithm)  # type: ignore[arg-type]
    again = Store(tmp_path)
    copy = make_corpus(again, "tiny", {code: 60 + 20 * number for number, code in enumerate(LANGUAGES)})
    first, second = ensure_tokenizer(store, corpus, spec), ensure_tokenizer(again, copy, spec)
    names = sorted(path.name for path in first.folder.iterdir())
    assert names == sorted(path.name for path in second.folder.iterdir()) == ["manifest.json", MODEL_FILE]
    assert all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in names)


@pytest.mark.parametrize("byte_fallback", [True, False])
@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
@pytest.mark.parametrize("asked, extreme", [(60_000, "largest"), (40, "smallest")])
def test_a_vocabulary_that_does_not_fit_names_one_that_just_does(
    store: Store, corpus: Corpus, algorithm: str, byte_fallback: bool, asked: int, extreme: str
) -> None:
    spec = replace(SPEC, algorithm=algorithm, byte_fallback=byte_fallback)  # type: ignore[arg-type]
    with pytest.raises(BadInput) as refused:
        ensure_tokenizer(store, corpus, replace(spec, vocabulary=asked))
    found = re.search(rf"the {extreme} that works is ([\d,]+);.* recipe\.model\.vocabulary", str(refused.value))
    assert found, str(refused.value)
    limit = int(found[1].replace(",", ""))
    assert ensure_tokenizer(store, corpus, replace(spec, vocabulary=limit)).processor.get_piece_size() == limit
    beyond = limit + 1 if extreme == "largest" else limit - 1
    with pytest.raises(BadInput, match=f"{limit:,}"):
        ensure_tokenizer(store, corpus, replace(spec, vocabulary=beyond))


def test_more_pieces_than_a_tokenizer_may_have_are_refused_before_any_work(store: Store, corpus: Corpus) -> None:
    with pytest.raises(BadInput, match="1,000,000"):
        ensure_tokenizer(store, corpus, replace(SPEC, vocabulary=10**12))
    assert not list(store.tokenizers.glob("*.tmp"))


def test_statistics_agree_with_an_independent_count(store: Store, corpus: Corpus) -> None:
    tokenizer = ensure_tokenizer(store, corpus, SPEC)
    statistics = tokenizer.manifest["statistics"]
    everywhere: set[int] = set()
    for language in LANGUAGES:
        texts = list(corpus.documents(language, "heldout"))
        tokens = [token for ids in tokenizer.encode(texts) for token in ids]
        row = statistics["languages"][language]
        singles = [token for token in tokens if tokenizer.processor.is_byte(token - 1)]
        assert row["bytes"] == sum(len(text.encode()) for text in texts)
        assert row["tokens"] == len(tokens)
        assert row["tokens_per_byte"] == pytest.approx(len(tokens) / row["bytes"])
        assert row["byte_rate"] == pytest.approx(len(singles) / len(tokens))
        assert row["share_of_pieces"] == pytest.approx(len(set(tokens)) / (SPEC.vocabulary - 3))
        everywhere |= set(tokens)
    assert statistics["share_of_pieces"] == pytest.approx(len(everywhere) / (SPEC.vocabulary - 3))
    english = documents("en", 12)
    assert statistics["languages"]["en"]["words"] == sum(len(text.split()) for text in english)


def test_characters_without_a_piece_are_bytes_with_fallback_and_unknown_without(store: Store) -> None:
    """English to train on, Chinese held out."""
    text = LanguageText(documents("en", 60), documents("zh", 12), {})
    strange = write_corpus(store, "strange", {"made": "by the tests"}, "", [("en", text)], {})
    rows = {}
    for fallback, vocabulary in ((True, 305), (False, 45)):
        spec = TokenizerSpec(
            languages=("en",), vocabulary=vocabulary, alpha=1.0, sample_bytes=20_000, byte_fallback=fallback
        )
        rows[fallback] = ensure_tokenizer(store, strange, spec).manifest["statistics"]["languages"]["en"]
    assert rows[True]["unknown_rate"] == 0 and rows[True]["byte_rate"] > 0.5
    assert rows[False]["byte_rate"] == 0 and rows[False]["unknown_rate"] > 0.1


def test_a_coverage_that_sentencepiece_does_not_take_is_refused(store: Store, corpus: Corpus) -> None:
    with pytest.raises(BadInput, match=r"0\.9 is not between 0\.98 and 1.*recipe\.tokenizer\.character_coverage"):
        ensure_tokenizer(store, corpus, replace(SPEC, character_coverage=0.9))


@pytest.mark.parametrize(
    "text, words",
    [
        ("It's 4 o'clock, now -- go!", 5),
        ("हिन्दी में तीन", 3),
        ("窗户打开。", 4),
        ("Windows 窗户 2", 4),
        ("ที่นี่", 2),
        ("", 0),
        ("... !", 0),
    ],
)
def test_words_are_runs_between_spaces_or_letters_of_scripts_without_them(text: str, words: int) -> None:
    assert count_words(text) == words


STUDY = """
name: sets
question: Which tokenizers do nested sets get?
corpus: tiny
axes: {languages: [[en, de], [de, en, ru], [ru, de, en]]}
recipe:
  model: {kind: modern, layers: 1, width: 16, vocabulary: 335}
  tokenizer: {policy: POLICY, sample_bytes: 30000}
  budget: {batch_tokens: 128, steps: 2}
  row_tokens: 16
  mask_rate: 0.2
  learning_rate: 0.01
"""


@pytest.mark.parametrize("policy, sets", [("frozen-superset", {"de en ru"}), ("retrained", {"de en", "de en ru"})])
def test_a_policy_trains_one_tokenizer_for_each_language_set_it_means(
    store: Store, corpus: Corpus, policy: str, sets: set[str]
) -> None:
    """Order aside: the two ways to write the larger set are one tokenizer."""
    study = parse_study(STUDY.replace("POLICY", policy), "sets.yaml")
    runs = expand(study, corpus.key, {code: corpus.train_bytes(code) for code in corpus.languages})
    made = {ensure_tokenizer(store, corpus, tokenizer_spec(run.science)).folder for run in runs}
    found = [" ".join(Tokenizer(folder).manifest["spec"]["languages"]) for folder in made]
    assert set(found) == sets and len(found) == len(sets)
    assert len({(folder / MODEL_FILE).read_bytes() for folder in made}) == len(sets)


def test_a_damaged_tokenizer_is_named_and_made_anew_with_the_same_bytes(store: Store, corpus: Corpus) -> None:
    tokenizer = ensure_tokenizer(store, corpus, SPEC)
    model = tokenizer.folder / MODEL_FILE
    sound = model.read_bytes()
    model.write_bytes(sound[:-10])
    told: list[str] = []
    assert ensure_tokenizer(store, corpus, SPEC, told.append).encode(["the window opens"])
    assert len(told) == 1 and str(model) in told[0]
    assert model.read_bytes() == sound

    model.write_bytes(sound[:500] + bytes([sound[500] ^ 1]) + sound[501:])
    assert tokenizer_damage(tokenizer.folder) is None
    assert str(model) in (tokenizer_damage(tokenizer.folder, full=True) or "")
    model.write_bytes(sound)


def test_ids_follow_the_layout_of_xlm_r(store: Store, corpus: Corpus) -> None:
    tokenizer = ensure_tokenizer(store, corpus, SPEC)
    texts = [document for language in LANGUAGES for document in documents(language, 3)]
    flat, counts = tokenizer.encode_closed(texts)
    assert flat.dtype == np.uint16 and tokenizer.table_rows == SPEC.vocabulary + 2
    stops = np.cumsum(counts).astype(int)
    for text, first, stop in zip(texts, [0, *stops], stops, strict=False):
        plain = tokenizer.processor.encode(text)
        assert flat[first:stop].tolist() == [piece + 1 if piece else 3 for piece in plain] + [2]
        assert tokenizer.encode([text])[0] == flat[first : stop - 1].tolist()


def test_word_starts_are_the_pieces_that_follow_a_space(store: Store, corpus: Corpus) -> None:
    tokenizer = ensure_tokenizer(store, corpus, SPEC)
    starts = tokenizer.word_starts()
    assert starts.shape == (tokenizer.table_rows,) and not starts[:4].any() and not starts[-1]
    for words in ("the window opens", "das Fenster geht auf"):
        (ids,) = tokenizer.encode([words])
        assert starts[ids[0]] and sum(starts[ids]) == len(words.split())
