"""SentencePiece tokenizers as artefacts: trained once on alpha-sampled text, shared by all runs that ask for the same.

Ids follow XLM-R: <s> 0, <pad> 1, </s> 2, <unk> 3, then the pieces (SentencePiece's id plus one), <mask> last. So a
tokenizer of `vocabulary` SentencePiece entries needs an embedding table of `vocabulary + 2` rows (250,000 -> 250,002).

    <root>/tokenizers/<key>/sentencepiece.model
    <root>/tokenizers/<key>/manifest.json      what made it, digests, statistics on held-out text (`tokenizer_stats`)
"""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sentencepiece as spm

from harness.corpus.artefact import Corpus
from harness.corpus.tokenizer_stats import tokenizer_statistics
from harness.corpus.tokenizer_text import sampled_lines
from harness.store import SCHEMA, Store, digest, file_digest, lease, read_json, whole_folder, write_json
from sweeps.errors import BadInput
from sweeps.sampling import language_distribution

END_ID = 2
"""</s>, which closes every document."""
UNKNOWN_ID = 3

MODEL_FILE = "sentencepiece.model"
MOST_PIECES = 1_000_000
LEAST_COVERAGE = 0.98
LAYOUT = 2
"""Of the folder, and of how its text is drawn; part of what names a tokenizer."""

_SEED_PIECES = 1_000_000
"""What unigram training prunes from; SentencePiece's default, doubled where the vocabulary comes near it."""

Notice = Callable[[str], None]
"""Told, in one sentence, of a damaged artefact that is made anew."""


def table_rows(vocabulary: int) -> int:
    """Rows of the embedding table for a tokenizer of `vocabulary` SentencePiece entries: <pad> and <mask> are added."""
    return vocabulary + 2


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """Everything that decides a tokenizer. Its digest, with the corpus key, is the artefact's key."""

    languages: tuple[str, ...]
    """A set: kept sorted, so that the order in which a study writes them makes no second tokenizer."""
    vocabulary: int
    alpha: float
    """Sampling exponent of the training text, the paper's tokenizer alpha."""
    algorithm: Literal["unigram", "bpe"] = "unigram"
    byte_fallback: bool = True
    character_coverage: float = 0.9995
    sample_bytes: int = 10_000_000
    """Text that SentencePiece sees, over all languages; a short language is repeated to fill its share."""
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "languages", tuple(sorted(set(self.languages))))


class Tokenizer:
    """A trained tokenizer, opened from its folder; the model is loaded when it is first used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = read_json(folder / "manifest.json")
        self.key: str = self.manifest["key"]
        self.vocabulary: int = self.manifest["spec"]["vocabulary"]

    @cached_property
    def processor(self) -> spm.SentencePieceProcessor:
        path = self.folder / MODEL_FILE
        try:
            return spm.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise BadInput(f"the tokenizer {path} cannot be loaded: babelscale tokenizer verify --repair") from error

    @cached_property
    def _ids(self) -> npt.NDArray[np.unsignedinteger[Any]]:
        """From SentencePiece's ids (<unk> 0, <s> 1, </s> 2) to ours, in the smallest type that holds the table."""
        ours = np.arange(1, self.vocabulary + 1, dtype=self.id_type)
        ours[:3] = UNKNOWN_ID, 0, END_ID
        return ours

    @property
    def id_type(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds the table."""
        return np.min_scalar_type(self.table_rows - 1)

    @property
    def table_rows(self) -> int:
        return table_rows(self.vocabulary)

    def word_starts(self) -> npt.NDArray[np.bool_]:
        """Which rows of the table begin a word (SentencePiece's mark of a space stands first), (rows,) bool."""
        starts = np.zeros(self.table_rows, dtype=bool)
        for piece in range(3, self.vocabulary):  # SentencePiece's first three are special; ours lie one higher
            starts[piece + 1] = self.processor.id_to_piece(piece).startswith("\u2581")
        return starts

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """XLM-R ids of each text, without <s> and </s>."""
        pieces = self.processor.encode(list(texts), out_type="numpy", num_threads=1)
        return [self._ids[ids].tolist() for ids in pieces]

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """XLM-R ids of each text, and for each of them how many characters of the text it and those before cover."""
        found = []
        for text in texts:
            pieces = self.processor.encode(text, return_type="proto").pieces
            # SentencePiece counts bytes: characters that begin before each of them.
            utf8 = np.frombuffer(text.encode(), dtype=np.uint8)
            characters = np.concatenate([[0], np.cumsum((utf8 & 0xC0) != 0x80)])
            ids = self._ids[np.array([piece.id for piece in pieces], dtype=np.int64)].tolist()
            found.append((ids, characters[[piece.end for piece in pieces]].tolist()))
        return found

    def encode_closed(
        self, texts: list[str] | list[bytes]
    ) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.uint64]]:
        """Flat XLM-R ids of the texts (bytes are UTF-8), each closed by </s>, in the smallest type; counts by text."""
        pieces = self.processor.encode(texts, out_type="numpy", num_threads=1, add_eos=True)
        counts = np.fromiter(map(len, pieces), dtype=np.uint64, count=len(pieces))
        return self._ids[np.concatenate([np.empty(0, np.int32), *pieces])], counts


def tokenizer_key(corpus_key: str, spec: TokenizerSpec) -> str:
    return digest({"schema": SCHEMA, "layout": LAYOUT, "corpus": corpus_key, "spec": asdict(spec)})


def ensure_tokenizer(store: Store, corpus: Corpus, spec: TokenizerSpec, notice: Notice | None = None) -> Tokenizer:
    """The tokenizer of `spec`, trained if the store lacks it, anew if its files are damaged (`notice` is told).

    Safe when several processes ask at once. Raises BadInput when the text cannot fill the vocabulary, or the
    vocabulary cannot hold the text's characters.
    """
    key = tokenizer_key(corpus.key, spec)
    folder = store.tokenizers / key
    if tokenizer_damage(folder) is not None:
        with lease(folder):
            damage = tokenizer_damage(folder)
            if damage is not None:
                discard(folder, damage, notice)
                with whole_folder(folder) as beside:
                    _train(corpus, spec, key, beside)
    return Tokenizer(folder)


def tokenizer_damage(folder: Path, *, full: bool = False) -> str | None:
    """What is wrong with the tokenizer in `folder`, None where it is sound, "" where there is none.

    Sizes are looked at; `full` compares the model's digest too.
    """
    if not folder.is_dir():
        return ""
    try:
        manifest, model = read_json(folder / "manifest.json"), folder / MODEL_FILE
        size, sha256 = manifest["model_bytes"], manifest["sha256"]
        if not model.is_file() or model.stat().st_size != size:
            return f"{model} is not of {size} bytes"
        if full and file_digest(model) != sha256:
            return f"{model} does not have the digest that it was written with"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{folder / 'manifest.json'} cannot be read"
    return None


def discard(folder: Path, damage: str, notice: Notice | None) -> None:
    """Take a damaged artefact out of the way of the next build, which sweeps it. The caller holds the lease."""
    if damage:
        if notice:
            notice(f"damaged: {damage}; it is made anew")
        folder.rename(folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp"))


def _train(corpus: Corpus, spec: TokenizerSpec, key: str, folder: Path) -> None:
    if spec.vocabulary > MOST_PIECES:
        raise BadInput(
            f"a vocabulary of {spec.vocabulary:,} is more than the {MOST_PIECES:,} that a tokenizer may have: "
            "change recipe.model.vocabulary"
        )
    if not LEAST_COVERAGE <= spec.character_coverage <= 1.0:
        raise BadInput(
            f"a character coverage of {spec.character_coverage} is not between {LEAST_COVERAGE} and 1, which is what "
            "SentencePiece takes: change recipe.tokenizer.character_coverage"
        )
    q = language_distribution({language: corpus.train_bytes(language) for language in spec.languages}, spec.alpha)
    texts = {language: corpus.documents(language, "train") for language in spec.languages}
    wanted = {language: share * spec.sample_bytes for language, share in q.items()}
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=sampled_lines(texts, wanted, spec.seed),
            model_writer=model,
            model_type=spec.algorithm,
            vocab_size=spec.vocabulary,
            byte_fallback=spec.byte_fallback,
            character_coverage=spec.character_coverage,
            seed_sentencepiece_size=max(_SEED_PIECES, 2 * spec.vocabulary),
            input_sentence_size=0,
            shuffle_input_sentence=False,
            # One thread: unigram adds its expected counts thread by thread, so another number of threads gives other
            # scores in the last digits and, measured at 2,000 pieces, other pieces.
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise BadInput(_refusal(spec, str(error))) from error
    (folder / MODEL_FILE).write_bytes(model.getvalue())
    processor = spm.SentencePieceProcessor(model_proto=model.getvalue())
    heldout = {language: corpus.documents(language, "heldout") for language in spec.languages}
    manifest = {
        "schema": SCHEMA,
        "key": key,
        "corpus": corpus.key,
        "spec": json.loads(json.dumps(asdict(spec))),
        "model_bytes": len(model.getvalue()),
        "sha256": file_digest(folder / MODEL_FILE),
        "statistics": tokenizer_statistics(processor, heldout, spec.seed),
    }
    write_json(folder / "manifest.json", manifest)


def _refusal(spec: TokenizerSpec, message: str) -> str:
    """One sentence for SentencePiece's refusal, with the size that works."""
    asked = f"a vocabulary of {spec.vocabulary:,}"
    text = f"the text of {len(spec.languages)} languages at character coverage {spec.character_coverage}"
    if found := re.search(r"to a value <= (\d+)", message):
        return (
            f"{asked} cannot be filled from {text} and {spec.sample_bytes:,} sampled bytes: the largest that works is "
            f"{int(found[1]):,}; change recipe.model.vocabulary, or raise recipe.tokenizer.sample_bytes where the "
            "corpus holds more"
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return (
            f"{asked} cannot hold the characters of {text}: the smallest that works is {int(found[1]):,}; "
            "change recipe.model.vocabulary, or lower recipe.tokenizer.character_coverage"
        )
    reason = message.rsplit("]", 1)[-1].strip().rstrip(".") or "SentencePiece gave no reason"
    return f"{asked} does not fit {text} ({reason}): change recipe.model.vocabulary"
