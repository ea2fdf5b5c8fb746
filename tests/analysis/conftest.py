"""A store written as the harness writes one, with effects that are known because the test put them in."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

SETS = {
    2: ["en", "sv"],
    4: ["en", "sv", "da", "de"],
    8: ["en", "sv", "da", "de", "nl", "fr", "it", "es"],
    16: ["en", "sv", "da", "de", "nl", "fr", "it", "es", "pt", "ru", "uk", "pl", "cs", "sk", "ja", "ko"],
}
Truth = Callable[[str, int, int, float], float]
"""(language, K, width, alpha) -> what the run would measure without noise."""


def real_effects(language: str, k: int, width: int, alpha: float) -> float:
    """Bits per byte with all four findings true: a curse, a hump, a wide model that pays less, an alpha trade."""
    steps = math.log2(k)
    small = 64 / width
    if language in ("en", "de", "fr"):
        return 2.0 + 0.15 * steps * small - 0.3 * (1 - small) - 0.3 * (alpha - 0.3)
    hump = 0.30 * (steps - 2) ** 2
    return 2.9 + hump * small + 0.12 * steps * small - 0.3 * (1 - small) + 0.4 * (alpha - 0.3)


def no_effect(language: str, k: int, width: int, alpha: float) -> float:
    """Every cell the same."""
    return 2.5


class Store:
    """Writes runs and studies under `root` in the harness's file formats."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ids: list[str] = []

    def run(
        self,
        k: int,
        width: int = 64,
        seed: int = 0,
        alpha: float | None = 0.3,
        truth: Truth = real_effects,
        noise: float = 0.02,
        accuracy: Truth | None = None,
        done: bool = True,
        languages: Iterable[str] | None = None,
        **axes: Any,
    ) -> str:
        """One run: its axes, records for each language, and done.json unless it is unfinished."""
        own = list(languages or SETS[k])
        values = {
            "languages": own, "K": k, "alpha": alpha, "vocabulary": 4000, "kind": "modern", "width": width,
            "layers": 3, "body_parameters": 12 * 3 * width**2, "embedding_parameters": 4000 * width,
            "batch_tokens": 1024, "steps": 3000, "tokens": 3_072_000, "flops": 7.4e7 * width**2, "seed": seed,
        }  # fmt: skip
        values |= axes
        slug = f"{k}-{own[-1]}-w{width}-a{alpha}-v{values['vocabulary']}-t{values['steps']}-s{seed}"
        folder = self.root / "runs" / slug
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").write_text(json.dumps({"schema": 1, "id": slug, "axes": values, "science": {}}), "utf-8")
        draw = random.Random(f"{seed}|{k}|{width}|{alpha}")
        shift = draw.gauss(0, noise)
        rows = []
        for language in own:
            bits = truth(language, k, width, alpha or 0.0) + shift + draw.gauss(0, noise / 4)
            rows.append(self._row(slug, "heldout", "heldout", language, "bits_per_byte", bits, n=12345))
            share = {"en": 8.0, "de": 3.0}.get(language, 0.5) / sum(8 if x == "en" else 1 for x in own)
            rows.append(self._row(slug, "training", "train", language, "epochs", share, n=1))
            if accuracy is not None and language in ("en", "sv", "da", "de"):
                right = accuracy(language, k, width, alpha or 0.0) + draw.gauss(0, noise / 2)
                more = {"chance": 1 / 19, "classes": 19, "majority": 0.12}
                rows.append(self._row(slug, "intents", "test", language, "accuracy", right, n=800, details=more))
        (folder / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
        if done:
            (folder / "done.json").write_text(json.dumps({"finished": "2026-01-01T00:00:00Z", "attempts": 1}), "utf-8")
        if slug not in self.ids:
            self.ids.append(slug)
        return slug

    @staticmethod
    def _row(run: str, task: str, split: str, language: str, metric: str, value: float, **more: Any) -> dict[str, Any]:
        fixed = {"schema": 1, "run": run, "step": 3000, "task": task, "split": split, "language": language}
        return fixed | {"metric": metric, "value": value, "standard_error": 0.01, "n": 1, "details": {}} | more

    def study(self, name: str = "demo", **changes: Any) -> str:
        """The study file over every run written so far."""
        values = {
            "schema": 1, "name": name, "question": "Do languages get worse as others are added?",
            "findings": ["F1", "F2", "F4", "F6"], "profile": "laptop", "corpus": "demo",
            "corpus_note": "Debian package descriptions, free licences",
            "groups": {"high": ["en"], "low": ["sv"], "core": ["en", "sv"]},
            "runs": self.ids, "command": f"babelscale submit {name}",
        }  # fmt: skip
        values |= changes
        (self.root / "studies").mkdir(parents=True, exist_ok=True)
        (self.root / "studies" / f"{name}.json").write_text(json.dumps(values), "utf-8")
        return name

    def grid(
        self, ks: Iterable[int] = (2, 4, 16), widths: Iterable[int] = (64, 128), seeds: int = 3, **more: Any
    ) -> None:
        """Every K by width by seed at alpha 0.3."""
        for k in ks:
            for width in widths:
                for seed in range(seeds):
                    self.run(k, width, seed, **more)

    def alphas(self, values: Iterable[float] = (0.1, 0.7, 1.0), k: int = 16, seeds: int = 3, **more: Any) -> None:
        """Further alphas at one K and width 64."""
        for alpha in values:
            for seed in range(seeds):
                self.run(k, 64, seed, alpha=alpha, **more)


def transfer(language: str, k: int, width: int, alpha: float) -> float:
    """Accuracy with a curse and, for Swedish, a hump."""
    if language == "en":
        return 0.86 - 0.01 * math.log2(k)
    return 0.55 + 0.1 * (width == 128) - 0.05 * (math.log2(k) - 2) ** 2 - 0.05 * math.log2(k)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a fresh folder."""
    return Store(tmp_path)


@pytest.fixture(scope="session")
def new_store() -> type[Store]:
    """The store itself, for fixtures that outlive one test."""
    return Store


@pytest.fixture(scope="session")
def truths() -> dict[str, Truth]:
    """The known effects by name, for tests that choose one."""
    return {"real": real_effects, "none": no_effect, "transfer": transfer}
