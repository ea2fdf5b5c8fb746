"""One model on one benchmark: fine-tune by the setting, choose rate and epoch on dev, score every language.

Settings (paper section 3.1): `zero-shot` trains on the source language alone; `translate-train` a model for each
language on its own training side; `translate-train-all` one model on all of them. What is done is kept in the
benchmark's folder, a file for each fine-tuned model, so that an evaluation that was cut short goes on with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from harness.batches.keyed import key
from harness.evaluate.data import Data, languages_of, read_items
from harness.evaluate.finetune import Best, Kind, Recipe, fine_tune, outputs
from harness.evaluate.predict import answers_said, labels_said, tags_said
from harness.evaluate.rows import Encodes, Row, question_rows, text_rows, word_rows
from harness.evaluate.task import Classification, Extraction, Score, Split, Tagging, Task
from harness.store import SCHEMA, digest, read_json, write_json
from models.encoder import Encoder
from models.heads import SequenceClassifier, TokenClassifier
from sweeps.errors import BadInput

Setting = Literal["zero-shot", "translate-train", "translate-train-all"]
Select = Literal["source", "joint", "each"]


@dataclass(frozen=True)
class Protocol:
    """How a benchmark is run."""

    data: Data
    train: Data | None = None
    """Another folder or file to train on, of the same format."""
    dev: Data | None = None
    """Another folder or file for the source language's dev side."""
    setting: Setting = "zero-shot"
    select: Select = "joint"
    """Whose dev sets choose rate and epoch: the source's, all languages' together (#M = 1), each its own (#M = N)."""
    languages: tuple[str, ...] = ()
    """Default: all that the benchmark has."""
    rates: tuple[float, ...] = (1e-5,)
    seeds: tuple[int, ...] = (0, 1, 2)
    recipe: Recipe = field(default_factory=lambda: Recipe(learning_rate=0.0))


@dataclass(frozen=True)
class Side:
    """Items of one split of one language, as the model reads them."""

    items: Sequence[Any]
    rows: Sequence[Row]


class Benchmark:
    """A task's data, encoded once for one model."""

    def __init__(
        self, task: Task, protocol: Protocol, tokenizer: Encodes, make_encoder: Callable[[], Encoder], folder: Path
    ) -> None:
        if not isinstance(task, Classification | Tagging | Extraction):
            raise BadInput(f"the task {task.name} trains nothing: it is scored by retrieval")
        self.task, self.protocol, self.tokenizer, self.make_encoder = task, protocol, tokenizer, make_encoder
        self.folder = folder
        self.problems: list[str] = []
        """A sentence for each language that could not be scored; the others are."""
        self.most = min(task.most_tokens, make_encoder().config.positions)
        wanted = protocol.languages or tuple(languages_of(task, protocol.data))
        self.test = self._sides(task.test_split, wanted)
        if not self.test:
            raise BadInput(f"no language of {task.name} can be scored: {'; '.join(self.problems)}")
        self.languages = tuple(self.test)

    def _sides(self, split: Split, languages: Iterable[str]) -> dict[str, Side]:
        found = {}
        for language in languages:
            try:
                found[language] = self._side(self.protocol.data, split, language)
            except BadInput as problem:
                self.problems.append(f"{language}: {problem}")
        return found

    def _side(self, data: Data, split: Split, language: str) -> Side:
        items = read_items(self.task, data, split, language)
        if not items:
            raise BadInput(f"{data} has no {split} items of {language} for {self.task.name}")
        return Side(items, self._rows(items))

    def _rows(self, items: Sequence[Any]) -> list[Row]:
        if isinstance(self.task, Classification):
            return text_rows(items, self.task.labels, self.tokenizer, self.most)
        if isinstance(self.task, Tagging):
            return word_rows(items, self.task.labels, self.tokenizer, self.most)
        assert isinstance(self.task, Extraction)
        return question_rows(items, self.tokenizer, self.most, self.task.stride)

    @property
    def kind(self) -> Kind:
        if isinstance(self.task, Classification):
            return "class" if self.task.labels else "number"
        return "tags" if isinstance(self.task, Tagging) else "answer"

    def head(self, seed: int) -> nn.Module:
        encoder, drop = self.make_encoder(), self.protocol.recipe.dropout
        number = key(seed, "head") >> 1
        if isinstance(self.task, Classification):
            return SequenceClassifier(encoder, max(1, len(self.task.labels)), dropout=drop, seed=number)
        classes = len(self.task.labels) if isinstance(self.task, Tagging) else 2
        return TokenClassifier(encoder, classes, dropout=drop, seed=number)

    def said(self, model: nn.Module, side: Side, *, bf16: bool) -> list[Any]:
        """Predictions of a side's items."""
        found = outputs(model, side.rows, bf16=bf16)
        if isinstance(self.task, Classification):
            return list(labels_said(found, self.task.labels))
        if isinstance(self.task, Tagging):
            return list(tags_said(side.items, side.rows, found, self.task.labels))
        assert isinstance(self.task, Extraction)
        return list(answers_said(side.items, side.rows, found, self.task.longest_answer))

    def scores(self, side: Side, said: Sequence[Any], language: str) -> list[Score]:
        found: list[Score] = self.task.scores(side.items, said, language)  # type: ignore[attr-defined]
        return found

    # Training.

    def run(self, *, bf16: bool, show: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
        """Records of every language, the mean over the fine-tuning seeds with what varied."""
        rows = []
        for name, (trained_on, scored) in self._models().items():
            rates = self._rates(name, trained_on, scored, bf16=bf16, show=show)
            for language in scored:
                made = [
                    self._tuned(name, trained_on, scored, rates[language], seed, bf16=bf16, show=show)
                    for seed in self.protocol.seeds
                ]
                rows += self._records(language, rates[language], [one[language] for one in made])
        return rows

    def _models(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Models of the setting: the languages that each is trained on and scored in."""
        if self.protocol.setting == "zero-shot":
            return {self.task.source: ((self.task.source,), self.languages)}
        if self.protocol.setting == "translate-train-all":
            return {"all": (self.languages, self.languages)}
        return {language: ((language,), (language,)) for language in self.languages}

    def _rates(self, name: str, trained_on: Sequence[str], scored: Sequence[str], **how: Any) -> dict[str, float]:
        """The rate of each language: the one whose first seed scores best on its dev set."""
        first = {
            rate: self._tuned(name, trained_on, scored, rate, self.protocol.seeds[0], **how)
            for rate in self.protocol.rates
        }
        return {language: max(first, key=lambda rate: float(first[rate][language]["dev"])) for language in scored}

    def _tuned(
        self,
        name: str,
        trained_on: Sequence[str],
        scored: Sequence[str],
        rate: float,
        seed: int,
        *,
        bf16: bool,
        show: Callable[[str], None],
    ) -> Mapping[str, Any]:
        """By language: dev score, epoch and predictions of one fine-tuned model, from its file where it is done."""
        train = {language: self._training(language) for language in trained_on}
        dev = self._dev(trained_on, scored)
        recipe = replace(self.protocol.recipe, learning_rate=rate)
        about = {
            "schema": SCHEMA,
            "task": self.task.name,
            "setting": self.protocol.setting,
            "select": self.protocol.select,
            "recipe": asdict(recipe),
            "seed": seed,
            "train": {language: _digest(side) for language, side in train.items()},
            "dev": {group: [_digest(side) for side in sides.values()] for group, sides in dev.items()},
            "test": {language: _digest(self.test[language]) for language in scored},
        }
        path = self.folder / f"{name}-{rate:g}-{seed}-{digest(about)}.json"
        if path.exists():
            kept: Mapping[str, Any] = read_json(path)["languages"]
            return kept
        model = self.head(seed)

        def on_dev(tuned: nn.Module) -> dict[str, float]:
            return {
                group: float(
                    np.mean(
                        [
                            self.scores(side, self.said(tuned, side, bf16=bf16), language)[0].value
                            for language, side in sides.items()
                        ]
                    )
                )
                for group, sides in dev.items()
            }

        best = fine_tune(
            model,
            [row for side in train.values() for row in side.rows],
            self.kind,
            recipe,
            seed=seed,
            bf16=bf16,
            dev=on_dev,
            show=lambda epoch, loss: show(f"{name}, rate {rate:g}, seed {seed}, epoch {epoch + 1}: loss {loss:.3f}"),
        )
        found = {language: self._predicted(model, best, language, bf16=bf16) for language in scored}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(path, about | {"languages": found})
        return found

    def _predicted(self, model: nn.Module, best: Mapping[str, Best], language: str, *, bf16: bool) -> dict[str, Any]:
        chosen = best[language] if language in best else best["all"]
        model.load_state_dict(chosen.weights)
        side = self.test[language]
        said = self.said(model, side, bf16=bf16)
        return {
            "dev": chosen.score,
            "epoch": chosen.epoch,
            "said": dict(zip([item.id for item in side.items], said, strict=True)),
        }

    def _training(self, language: str) -> Side:
        return self._side(self.protocol.train or self.protocol.data, "train", language)

    def _dev(self, trained_on: Sequence[str], scored: Sequence[str]) -> dict[str, dict[str, Side]]:
        """The dev sets of each group of languages that chooses an epoch of its own."""
        if self.protocol.select == "source":
            data = self.protocol.dev or self.protocol.data
            return {"all": {language: self._side(data, "dev", language) for language in trained_on}}
        each = {language: self._side(self.protocol.data, "dev", language) for language in scored}
        return {"all": each} if self.protocol.select == "joint" else {name: {name: side} for name, side in each.items()}

    def _records(self, language: str, rate: float, made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        side = self.test[language]
        by_seed = [self.scores(side, [_as_said(one["said"][item.id]) for item in side.items], language) for one in made]
        rows = []
        levels: dict[str, float] = self.task.levels(side.items)  # type: ignore[attr-defined]
        for scores in zip(*by_seed, strict=True):
            values = np.array([score.value for score in scores])
            rows.append(
                {
                    "task": self.task.name,
                    "split": self.task.test_split,
                    "language": language,
                    "metric": scores[0].metric,
                    "value": float(values.mean()),
                    "standard_error": float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None,
                    "n": len(side.items),
                    "details": (levels if scores[0].metric == "accuracy" else {})
                    | {
                        "setting": self.protocol.setting,
                        "select": self.protocol.select,
                        "by_seed": values.tolist(),
                        "learning_rate": rate,
                        "epochs": [one["epoch"] + 1 for one in made],
                        "dev": [one["dev"] for one in made],
                    },
                }
            )
        return rows


def _as_said(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _digest(side: Side) -> str:
    return digest([repr(item) for item in side.items])
