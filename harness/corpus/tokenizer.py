"""SentencePiece tokenizers as artefacts: trained once on alpha-sampled text, shared by all runs that ask for the same.

Ids follow XLM-R: <s> 0, <pad> 1, </s> 2, <unk> 3, then the pieces (SentencePiece's id plus one), <mask> last. So a
tokenizer of `vocabulary` SentencePiece entries needs an embedding table of `vocabulary + 2` rows (250,000 -> 250,002).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import sentencepiece as spm

from harness.batches.keyed import generator
from harness.corpus.artefact import Corpus
from harness.store import SCHEMA, Store, digest, lease, read_json, whole_folder, write_json
from sweeps.errors import BadInput
from sweeps.sampling import language_distribution

END_ID = 2
"""</s>, which closes every document."""
UNKNOWN_ID = 3

MODEL_FILE = "sentencepiece.model"


def table_rows(vocabulary: int) -> int:
    """Rows of the embedding table for a tokenizer of `vocabulary` SentencePiece entries: <pad> and <mask> are added."""
    return vocabulary + 2


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """Everything that decides a tokenizer. Its digest, with the corpus key, is the artefact's key."""

    languages: tuple[str, ...]
    vocabulary: int
    alpha: float
    """Sampling exponent of the training text, the paper's tokenizer alpha."""
    algorithm: Literal["unigram", "bpe"] = "unigram"
    byte_fallback: bool = True
    character_coverage: float = 0.9995
    sample_bytes: int = 10_000_000
    """Text that SentencePiece sees, over all languages; a short language is repeated to fill its share."""
    seed: int = 0


class Tokenizer:
    """A trained tokenizer, opened from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = read_json(folder / "manifest.json")
        self.key: str = self.manifest["key"]
        self.processor = spm.SentencePieceProcessor(model_file=str(folder / MODEL_FILE))
        self.vocabulary: int = self.processor.get_piece_size()

    @property
    def table_rows(self) -> int:
        return table_rows(self.vocabulary)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """XLM-R ids of each text, without <s> and </s>."""
        pieces: list[list[int]] = self.processor.encode(list(texts), num_threads=1)
        # SentencePiece's <unk> is 0 and its pieces start at 3; here <unk> is 3 and the pieces start at 4.
        return [[piece + 1 if piece else UNKNOWN_ID for piece in ids] for ids in pieces]


def tokenizer_key(corpus_key: str, spec: TokenizerSpec) -> str:
    return digest({"schema": SCHEMA, "corpus": corpus_key, "spec": asdict(spec)})


def ensure_tokenizer(store: Store, corpus: Corpus, spec: TokenizerSpec) -> Tokenizer:
    """The tokenizer of `spec`, trained if the store lacks it. Safe when several processes ask at once.

    Raises BadInput when the text cannot fill the vocabulary.
    """
    key = tokenizer_key(corpus.key, spec)
    folder = store.tokenizers / key
    if not folder.exists():
        with lease(folder):
            if not folder.exists():
                with whole_folder(folder) as beside:
                    _train(corpus, spec, key, beside)
    return Tokenizer(folder)


def _train(corpus: Corpus, spec: TokenizerSpec, key: str, folder: Path) -> None:
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=_sampled_lines(corpus, spec),
            model_writer=model,
            model_type=spec.algorithm,
            vocab_size=spec.vocabulary,
            byte_fallback=spec.byte_fallback,
            character_coverage=spec.character_coverage,
            input_sentence_size=0,
            shuffle_input_sentence=False,
            num_threads=1,  # one thread: the order of sums, and so the model's bytes, never varies
            minloglevel=2,
        )
    except RuntimeError as error:
        raise BadInput(
            f"a vocabulary of {spec.vocabulary} does not fit the text of {len(spec.languages)} languages "
            f"at character coverage {spec.character_coverage} ({_reason(error)}): change recipe.model.vocabulary"
        ) from error
    (folder / MODEL_FILE).write_bytes(model.getvalue())
    write_json(folder / "manifest.json", {"schema": SCHEMA, "key": key, "corpus": corpus.key, "spec": asdict(spec)})


def _reason(error: RuntimeError) -> str:
    """The last sentence of SentencePiece's message, without its source position."""
    return str(error).rsplit("]", 1)[-1].strip().rstrip(".") or "SentencePiece gave no reason"


def _sampled_lines(corpus: Corpus, spec: TokenizerSpec) -> Iterator[str]:
    """Lines of training text: each language fills its share of `sample_bytes`, in documents drawn without replacement
    until they are used up, then again."""
    q = language_distribution({language: corpus.train_bytes(language) for language in spec.languages}, spec.alpha)
    for language, share in q.items():
        documents = list(corpus.documents(language, "train"))
        wanted = share * spec.sample_bytes
        given, passes = 0, 0
        while given < wanted:
            order = generator(spec.seed, "tokenizer-text", language, passes).permutation(len(documents))
            for index in np.asarray(order):
                for line in documents[int(index)].splitlines():
                    given += len(line.encode())
                    yield line
                if given >= wanted:
                    break
            passes += 1
