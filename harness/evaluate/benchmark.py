"""One model on one benchmark: fine-tune by the setting, choose rate and epoch on dev, score every language.

What is done is kept in the benchmark's folder, a file for each fine-tuned model, so that an evaluation that was cut
short goes on with the next.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from harness.batches.keyed import key
from harness.evaluate.data import languages_of
from harness.evaluate.driven import Driven, Kind, Means
from harness.evaluate.finetune import FineTuning
from harness.evaluate.intervals import sureness
from harness.evaluate.predict import answers_said, labels_said, tags_said
from harness.evaluate.rows import Encodes, Row, question_rows, text_rows, word_rows
from harness.evaluate.sides import Protocol, Side, Sides
from harness.evaluate.task import Classification, Extraction, Score, Tagging, Task
from harness.store import SCHEMA, digest, read_json, write_json
from harness.train.ranks import gathered
from models.heads import SequenceClassifier, TokenClassifier
from models.transformers_encoder import Body
from sweeps.errors import BadInput


class Benchmark:
    """A task's data, encoded once for one model. All ranks of `means` hold one and call its methods together."""

    def __init__(
        self,
        task: Task,
        protocol: Protocol,
        tokenizer: Encodes,
        make_encoder: Callable[[int], Body],
        folder: Path,
        means: Means,
    ) -> None:
        """`make_encoder` gives the encoder that a fine-tuning seed begins with."""
        if not isinstance(task, Classification | Tagging | Extraction):
            raise BadInput(f"the task {task.name} trains nothing: it is scored by retrieval")
        self.task, self.protocol, self.tokenizer, self.make_encoder = task, protocol, tokenizer, make_encoder
        self.folder, self.means, self.ranks = folder, means, means.ranks
        self.most = min(task.most_tokens, make_encoder(0).config.positions)
        self.sides = Sides(task, protocol, self._rows)
        self._done: dict[tuple[str, float, int], Mapping[str, Any]] = {}
        wanted = protocol.languages or tuple(languages_of(task, self.sides.scored_data))
        self.test = self.sides.tests(wanted)
        if not self.test:
            raise BadInput(f"no language of {task.name} can be scored: {'; '.join(self.sides.problems)}")
        self.languages = tuple(self.test)

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
        encoder, drop = self.make_encoder(seed), self.protocol.recipe.dropout
        number = key(seed, "head") >> 1
        if isinstance(self.task, Classification):
            classes = max(1, len(self.task.labels))
            return SequenceClassifier(encoder, classes, pool=self.protocol.pool, dropout=drop, seed=number)
        classes = len(self.task.labels) if isinstance(self.task, Tagging) else 2
        return TokenClassifier(encoder, classes, dropout=drop, seed=number)

    def said(self, driven: Driven, sides: Sequence[Side]) -> list[list[Any]]:
        """Predictions of each side's items; the sides share batches."""
        rows = [row for side in sides for row in side.rows]
        found, first, said = driven.outputs(rows), 0, []
        for side in sides:
            said.append(self._said(found[first : first + len(side.rows)], side))
            first += len(side.rows)
        return said

    def _said(self, found: Sequence[Any], side: Side) -> list[Any]:
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

    def run(self, show: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
        """Records of every language, the mean over the fine-tuning seeds with what varied; `items.json` beside the
        models' files holds what each item adds to them. Raises Stopped with everything kept."""
        rows: list[dict[str, Any]] = []
        items: dict[str, dict[str, Any]] = {}
        for name, (trained_on, scored) in self.sides.models(self.languages).items():
            rates = self._rates(name, trained_on, scored, show=show)
            for language in scored:
                made = [
                    self._tuned(name, trained_on, scored, rates[language], seed, show=show)
                    for seed in self.protocol.seeds
                ]
                found, of_items = self._records(language, rates[language], [one[language] for one in made])
                rows += found
                items[language] = of_items
        if self.ranks.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "items.json", {"schema": SCHEMA, "task": self.task.name, "languages": items})
        return rows

    def _rates(
        self, name: str, trained_on: Sequence[str], scored: Sequence[str], *, show: Callable[[str], None]
    ) -> dict[str, float]:
        """The rate of each language: the one whose first seed scores best on its dev set."""
        first = {
            rate: self._tuned(name, trained_on, scored, rate, self.protocol.seeds[0], show=show)
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
        show: Callable[[str], None],
    ) -> Mapping[str, Any]:
        """By language: dev score, epoch and predictions of one fine-tuned model, from its file where it is done."""
        if (name, rate, seed) not in self._done:
            self._done[name, rate, seed] = self._tune(name, trained_on, scored, rate, seed, show)
        return self._done[name, rate, seed]

    def _tune(
        self,
        name: str,
        trained_on: Sequence[str],
        scored: Sequence[str],
        rate: float,
        seed: int,
        show: Callable[[str], None],
    ) -> Mapping[str, Any]:
        train = {language: self.sides.training(language) for language in trained_on}
        dev = self.sides.dev(tuple(trained_on), tuple(scored))
        recipe = replace(self.protocol.recipe, learning_rate=rate)
        about = {
            "schema": SCHEMA,
            "task": self.task.name,
            "labels": list(getattr(self.task, "labels", ())),
            "most_tokens": self.most,
            "setting": self.protocol.setting,
            "select": self.protocol.select,
            "pool": self.protocol.pool,
            "recipe": asdict(recipe),
            "seed": seed,
            "train": {language: side.digest for language, side in train.items()},
            "dev": {group: [side.digest for side in sides.values()] for group, sides in dev.items()},
            "test": {language: self.test[language].digest for language in scored},
        }
        path = self.folder / f"{name}-{rate:g}-{seed}-{digest(about)}.json"
        kept = gathered(read_json(path)["languages"] if self.ranks.first and path.exists() else None, self.ranks)[0]
        if kept is not None:
            return kept  # type: ignore[no-any-return]
        driven = Driven(self.head(seed), self.kind, self.means, weight_decay=recipe.weight_decay, clip=recipe.clip)
        rows = [row for side in train.values() for row in side.rows]
        tuning = FineTuning(driven, rows, recipe, seed=seed, folder=path.with_suffix(".part"))

        def on_dev(tuned: Driven) -> dict[str, float]:
            each = [(group, language, side) for group, sides in dev.items() for language, side in sides.items()]
            found: dict[str, list[float]] = defaultdict(list)
            for (group, language, side), said in zip(each, self.said(tuned, [side for *_, side in each]), strict=True):
                found[group].append(self.scores(side, said, language)[0].value)
            return {group: float(np.mean(values)) for group, values in found.items()}

        def told(epoch: int, loss: float) -> None:
            show(f"{name}, rate {rate:g}, seed {seed}, epoch {epoch + 1}: loss {loss:.3f}")

        best = tuning.run(on_dev, told)
        by_epoch: dict[int, list[str]] = defaultdict(list)
        for language in scored:
            by_epoch[best[language if language in best else "all"].epoch].append(language)
        found: dict[str, Any] = {}
        for epoch, languages in by_epoch.items():
            tuning.take(epoch)
            sides = [self.test[language] for language in languages]
            for language, side, said in zip(languages, sides, self.said(driven, sides), strict=True):
                chosen = best[language if language in best else "all"]
                answers = dict(zip([item.id for item in side.items], said, strict=True))
                found[language] = {
                    "dev": chosen.score,
                    "epoch": epoch,
                    "chosen_on": list(dev[language if language in best else "all"]),
                    "trained_on": {one: len(train[one].items) for one in trained_on},
                    "said": answers,
                }
        if self.ranks.first:
            write_json(path, about | {"languages": found})
            shutil.rmtree(path.with_suffix(".part"), ignore_errors=True)
        gathered(None, self.ranks)
        return found

    def _records(
        self, language: str, rate: float, made: Sequence[Mapping[str, Any]]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """A language's records by metric, and what each item added to them by seed."""
        side = self.test[language]
        by_seed = [self.scores(side, [_as_said(one["said"][item.id]) for item in side.items], language) for one in made]
        rows: list[dict[str, Any]] = []
        items: dict[str, Any] = {"ids": [item.id for item in side.items], "metrics": {}}
        levels: dict[str, float] = self.task.levels(side.items)  # type: ignore[attr-defined]
        for scores in zip(*by_seed, strict=True):
            metric, of, values = scores[0].metric, scores[0].of, np.array([score.value for score in scores])
            each = [score.by_item for score in scores]
            sure = sureness(of, each, name=f"{self.task.name} {language} {metric}")
            items["metrics"][metric] = {"of": of, "by_seed": [seed.tolist() for seed in each]}
            rows.append(
                {
                    "task": self.task.name,
                    "split": self.task.test_split,
                    "language": language,
                    "metric": metric,
                    "value": float(values.mean()),
                    "standard_error": sure.standard_error,
                    "n": len(side.items),
                    "details": (levels if metric == "accuracy" else {})
                    | {
                        "interval": [sure.low, sure.high],
                        "setting": self.protocol.setting,
                        "select": self.protocol.select,
                        "by_seed": values.tolist(),
                        "learning_rate": rate,
                        "epochs": [one["epoch"] + 1 for one in made],
                        "dev": [one["dev"] for one in made],
                        "chosen_on": made[0]["chosen_on"],
                        "train": str(self.protocol.train or self.protocol.data),
                        "trained_on": made[0]["trained_on"],
                    },
                }
            )
        return rows, items


def _as_said(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
