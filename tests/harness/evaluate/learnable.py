"""Tasks that a small encoder can learn, a tokenizer whose tokens are characters, and the encoder.

Which letter a text holds, the letter of each word, the run of z in a context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.batches.keyed import generator
from harness.evaluate.finetune import Recipe
from harness.evaluate.task import Classification, Extraction, Item, QuestionItem, Split, TaggedItem, Tagging
from models.encoder import Encoder
from models.heads import build_masked_lm
from models.sizes import EncoderConfig
from sweeps.errors import BadInput


class Letters:
    """A tokenizer whose tokens are characters."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[3 + ord(letter) % 300 for letter in text] for text in texts]

    def encode_with_ends(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        return [(ids, list(range(1, len(ids) + 1))) for ids in self.encode(texts)]


def encoder(seed: int = 1, width: int = 16) -> Encoder:
    config = EncoderConfig(kind="modern", vocabulary=400, width=width, layers=2, heads=2, feedforward=32, positions=64)
    return build_masked_lm(config, 1).encoder  # pretrained, so the same whatever the fine-tuning seed


class Which(Classification):
    name = "which"
    labels = ("b", "c")

    def languages(self, data: Path) -> list[str]:
        return ["en", "xx", "no"]

    def read(self, data: Path, split: Split, language: str) -> Iterable[Item]:
        if language == "no":
            raise BadInput("the language no has no file")
        draws = generator(7, "which", split, language)
        for number in range({"train": 96, "dev": 24, "test": 40}[split]):
            label = "bc"[int(draws.integers(2))]
            yield Item(
                f"{split}-{number}", "a" * int(draws.integers(1, 6)) + label + "a" * int(draws.integers(1, 6)), label
            )


class Vowels(Tagging):
    name = "vowels"
    labels = ("O", "B-V")

    def languages(self, data: Path) -> list[str]:
        return ["en"]

    def read(self, data: Path, split: Split, language: str) -> Iterable[TaggedItem]:
        draws = generator(8, "vowels", split)
        for number in range({"train": 96, "dev": 24, "test": 40}[split]):
            words = tuple("abcdu"[int(draws.integers(5))] for _ in range(int(draws.integers(1, 9))))
            yield TaggedItem(f"{split}-{number}", words, tuple("B-V" if word in "au" else "O" for word in words))


class Run(Extraction):
    name = "run"

    def languages(self, data: Path) -> list[str]:
        return ["en"]

    def read(self, data: Path, split: Split, language: str) -> Iterable[QuestionItem]:
        draws = generator(9, "run", split)
        for number in range({"train": 128, "dev": 24, "test": 40}[split]):
            before, answer = "ab " * int(draws.integers(1, 5)), "z" * int(draws.integers(1, 4))
            context = before + answer + " ba" * int(draws.integers(1, 5))
            yield QuestionItem(f"{split}-{number}", "?", context, ((answer, len(before)),))


RECIPE = Recipe(learning_rate=0.0, epochs=8, batch_rows=8, dropout=0.0)
