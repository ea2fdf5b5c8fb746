"""Fine-tuning: an encoder with a head on a task's rows, the epoch chosen on dev sets.

Which dev sets choose the epoch is the caller's: the source language's (nothing of a target language is looked at), all
together (the paper's #M = 1), or each language's own (#M = N, one model a language).

What a fine-tuning is made of lies in a folder of its own: a checkpoint by the clock and when it is asked to stop, and
the weights of the epochs that are the best so far. Started again, it goes on as if nothing had been.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from harness.evaluate.batching import training_batches
from harness.evaluate.driven import Driven
from harness.evaluate.rows import Row
from harness.store import digest, sync_folder
from harness.train import checkpoint
from harness.train.errors import Stopped
from harness.train.pieces import write_tensors
from harness.train.ranks import gathered

LOOK_EVERY = 10
"""Updates between agreements of several ranks on saving and stopping."""


@dataclass(frozen=True)
class Recipe:
    """How a model is fine-tuned; `learning_rate` is chosen on dev from the task's grid."""

    learning_rate: float
    epochs: int = 10
    batch_rows: int = 32
    warmup: float = 0.1
    """Share of all updates; then the rate falls to zero along a line."""
    decay: bool = True
    """False: it stays after the warm-up."""
    dropout: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 5
    """Epochs without a better dev score after which it ends."""

    def rate(self, update: int, total: int) -> float:
        """The learning rate of an update, counted from 0."""
        rise = min((update + 1) / max(1.0, self.warmup * total), 1.0)
        return self.learning_rate * rise * ((1.0 - update / total) if self.decay else 1.0)


@dataclass(frozen=True)
class Best:
    """The epoch that was chosen for a group of languages, and what it scored on their dev sets."""

    score: float
    epoch: int


class FineTuning:
    """One fine-tuning of `driven` on `rows`. All methods are called by all ranks."""

    def __init__(self, driven: Driven, rows: Sequence[Row], recipe: Recipe, *, seed: int, folder: Path) -> None:
        """Raises ValueError for no rows."""
        if not rows:
            raise ValueError("no rows to fine-tune on")
        self.driven, self.rows, self.recipe, self.seed, self.folder = driven, rows, recipe, seed, folder
        self.ranks, self.means = driven.ranks, driven.means
        self.an_epoch = sum(1 for _ in training_batches(rows, recipe.batch_rows, seed=seed, epoch=0))
        self.best: dict[str, Best] = {}
        self.waited = 0
        self.losses = 0.0
        whose = digest({"recipe": asdict(recipe), "seed": seed, "rows": len(rows), "folder": folder.name})
        self.checkpoints = checkpoint.Checkpoints(folder / "checkpoints", whose)
        self.saved = time.monotonic()

    def run(
        self,
        dev: Callable[[Driven], Mapping[str, float]],
        show: Callable[[int, float], None] = lambda epoch, loss: None,
    ) -> dict[str, Best]:
        """Train to the end or until patience ends; the best epoch of each group that `dev` scores.

        Raises Stopped, with everything kept.
        """
        updates = self._take_up()
        while updates < self.recipe.epochs * self.an_epoch and self.waited < self.recipe.patience:
            epoch, done = divmod(updates, self.an_epoch)
            batches = list(training_batches(self.rows, self.recipe.batch_rows, seed=self.seed, epoch=epoch))
            for batch in batches[done:]:
                self._save_or_stop(updates)
                rate = self.recipe.rate(updates, self.recipe.epochs * self.an_epoch)
                loss = self.driven.update([self.rows[index] for index in batch], rate, self.seed, updates)
                self.losses += float(loss)
                updates += 1
            show(epoch, self.losses / self.an_epoch)
            self.losses = 0.0
            self._choose(epoch, dev(self.driven))
        return self.best

    def take(self, epoch: int) -> None:
        """Give the model the weights of an epoch that is the best of some group."""
        self.driven.put(load_file(self._weights(epoch)))

    def _weights(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch:04d}.safetensors"

    def _choose(self, epoch: int, scores: Mapping[str, float]) -> None:
        better = {
            name: score for name, score in scores.items() if name not in self.best or score > self.best[name].score
        }
        self.waited = 0 if better else self.waited + 1
        if not better:
            return
        weights = self.driven.weights()
        if self.ranks.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            beside = self.folder / ".best.tmp"
            write_tensors(beside, weights)
            beside.replace(self._weights(epoch))
            sync_folder(self.folder)
        self.best |= {name: Best(score, epoch) for name, score in better.items()}
        gathered(None, self.ranks)  # the file is there for all

    def _take_up(self) -> int:
        def usable(step: int, state: Mapping[str, Any]) -> bool:
            return all(self._weights(epoch).exists() for _, epoch in state["best"].values())

        updates, state = checkpoint.load(self.driven.engine, self.checkpoints, self.ranks, self.means.zero, usable)
        self.best = {name: Best(*values) for name, values in state.get("best", {}).items()}
        self.waited, self.losses = state.get("waited", 0), state.get("losses", 0.0)
        self.driven.updater.watch.restore(state.get("watch", {}))
        return updates

    def _save_or_stop(self, updates: int) -> None:
        """Save where that is due or a stop was asked for, of any rank. Raises Stopped."""
        if self.ranks.world > 1 and updates % LOOK_EVERY:
            return
        due = time.monotonic() - self.saved > self.means.checkpoint_seconds
        wanted = max(gathered(int(self.means.stop.raised) * 2 + int(due), self.ranks))
        if not wanted:
            return
        state: dict[str, Any] = {
            "best": {name: [best.score, best.epoch] for name, best in self.best.items()},
            "waited": self.waited,
            "losses": self.losses,
            "watch": self.driven.updater.watch.state(),
        }
        self.checkpoints.folder.mkdir(parents=True, exist_ok=True)
        problem = checkpoint.save(self.driven.engine, self.checkpoints, updates, self.ranks, self.means.zero, state)
        self.saved = time.monotonic()
        if self.ranks.first:  # weights that no group refers to any more, and no older checkpoint either
            held = {best.epoch for best in self.best.values()}
            for path in self.folder.glob("best-*.safetensors"):
                if int(path.stem[5:]) not in held:
                    path.unlink(missing_ok=True)
        if wanted >= 2:
            raise Stopped(f"stopped at update {updates} of a fine-tuning, {problem or 'saved'}")
