"""The training of one run, on every rank: batches in, updates out, a line of metrics now and then.

Everything random is a function of the seed and a number (sample, step), so the only state between steps is what the
engine and the loss watch hold, and the step itself. A stop (a signal) is agreed by all ranks at a step boundary,
saved, and told apart from the end by `Stopped`.
"""

from __future__ import annotations

import gc
import os
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from harness.batches.keyed import key
from harness.batches.masking import Masked
from harness.batches.stream import BatchStream
from harness.branches import TAKEN, kept_folder, start_from_trunk
from harness.store import digest
from harness.train import checkpoint
from harness.train.engine import build_engine, gathered_weights, set_learning_rate
from harness.train.errors import LossFailed, Stopped, TooLittleMemory, TrainingFailed
from harness.train.heartbeat import StopFlag, say
from harness.train.progress import LINES_PER_RUN, Progress, matrix_product_flops
from harness.train.ranks import Ranks
from harness.train.returns import MOST_RETURNS, STEPS_IN_A_ROW, Returns
from harness.train.room import choose_micro_rows
from harness.train.schedule import learning_rate_at
from harness.train.update import Update, Updater
from models.cost import training_flops_per_token
from models.heads import build_masked_lm
from models.room import Need
from models.sizes import EncoderConfig

LOOK_EVERY = 10
"""Steps between looks at the watch, and between the agreements of several ranks on stopping and saving; one rank asks
itself about those at every step."""


class _OffCourse(Exception):
    """The watch refused too many updates in a row. Raised by all ranks at the same step."""


@dataclass(frozen=True)
class Trained:
    weights: dict[str, Tensor]
    """fp32, by parameter name, on the CPU."""
    epochs: dict[str, float]
    expected_epochs: dict[str, float]
    """What the distribution promised for the same steps."""
    tokens: dict[str, int]
    """Tokens drawn of each language."""
    seconds: float
    """Wall time of this attempt's steps."""


def train(
    science: Mapping[str, Any],
    execution: Mapping[str, Any],
    stream: BatchStream,
    ranks: Ranks,
    *,
    folder: Path,
    attempt: int,
    stop: StopFlag,
    trunk: tuple[Path, int] | None = None,
    keep: Collection[int] = (),
    beside: int = 1,
) -> Trained:
    """Train one run from its newest checkpoint, or from its trunk's (folder and step), or from its seed, to its last
    step; commit its state after the steps in `keep`, for runs that branch there (`harness.branches`).

    `beside` such runs share this machine's memory. Raises Stopped and TrainingFailed.
    """
    training = _Training(science, execution, stream, ranks, folder, attempt, stop, trunk, keep, beside)
    first = training.begin()
    gc.collect()
    gc.freeze()  # the collector never walks the model again
    began = time.monotonic()
    while True:
        try:
            training.steps_from(first)
            break
        except _OffCourse:
            first = training.begin(again=True)
    drawn = stream.draws(training.samples)
    return Trained(
        weights=gathered_weights(training.engine, execution["zero"]),
        epochs=stream.epochs(training.samples),
        expected_epochs=stream.expected_epochs(training.samples),
        tokens={language: count * science["row_tokens"] for language, count in drawn.items()},
        seconds=time.monotonic() - began,
    )


class _Training:
    """What stands between the steps of one attempt."""

    def __init__(
        self,
        science: Mapping[str, Any],
        execution: Mapping[str, Any],
        stream: BatchStream,
        ranks: Ranks,
        folder: Path,
        attempt: int,
        stop: StopFlag,
        trunk: tuple[Path, int] | None,
        keep: Collection[int],
        beside: int,
    ) -> None:
        self.science, self.execution, self.stream, self.ranks = science, execution, stream, ranks
        self.folder, self.stop, self.trunk, self.keep = folder, stop, trunk, keep
        self.steps, self.zero, self.config = science["steps"], execution["zero"], EncoderConfig(**science["model"])
        self.samples = self.steps * science["batch_rows"]
        self.micro_rows, self.accumulation = self._split_batch(beside)
        self.engine = build_engine(
            self._model(),
            ranks,
            optimizer=science["optimizer"],
            bf16=science["precision"] == "bf16",
            zero_stage=self.zero,
            micro_rows=self.micro_rows,
            accumulation=self.accumulation,
            hidden_rate_scale=science.get("hidden_rate_scale", 1.0),
            activation_checkpointing=execution.get("activation_checkpointing", False),
            compiled=self._may_compile(),
        )
        self.updater = Updater(self.engine, ranks, zero_stage=self.zero, clip=science["optimizer"]["clip"])
        self.whose = digest(science)
        self.checkpoints = checkpoint.Checkpoints(folder / "checkpoints", self.whose)
        self.returns = Returns.of(folder)
        self.log_every = max(1, self.steps // LINES_PER_RUN)
        self.progress = self._progress(attempt) if ranks.first else None
        # Losses of the updates taken since the last line of metrics: they travel in the checkpoint, so a resumed run
        # writes the same lines.
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=ranks.device)
        self.taken = torch.zeros((), dtype=torch.int64, device=ranks.device)

    def _may_compile(self) -> bool:
        wanted = bool(self.execution.get("compile", False))
        if wanted and self.ranks.device.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
            raise TrainingFailed(
                "execution.compile is true, but torch.compile needs a C++ compiler on a CPU and g++ is not there: "
                "install it, name another in CXX, or leave execution.compile out"
            )
        return wanted

    def _split_batch(self, beside: int) -> tuple[int, int]:
        rows, wanted = self.science["batch_rows"], self.execution["micro_rows"]
        micro, accumulation = split_batch(rows, self.ranks.world, wanted)
        if wanted:
            return micro, accumulation
        need = Need(
            self.config,
            tokens_per_row=self.science["row_tokens"],
            masks_per_row=self.stream.masks_per_row,
            bf16=self.science["precision"] == "bf16",
            zero=self.zero,
            world=self.ranks.world,
            checkpointed=self.execution.get("activation_checkpointing", False),
            on_cpu=self.ranks.device.type == "cpu",
        )
        chosen, problem = choose_micro_rows(need, micro, self.ranks, self.folder, beside=beside)
        if problem:
            raise TooLittleMemory(problem)
        if chosen < micro and self.ranks.first:
            say(f"micro-batches of {chosen} rows of a device's {micro}: what its memory takes")
        return chosen, micro // chosen

    def _model(self) -> Any:
        return build_masked_lm(self.config, key(self.science["seed"], "weights") >> 1)

    def _progress(self, attempt: int) -> Progress:
        tokens = self.science["row_tokens"]
        flops = training_flops_per_token(
            self.config, tokens_per_row=tokens, masked_share=self.stream.masks_per_row / tokens
        )
        rate = matrix_product_flops(self.ranks.device, bf16=self.science["precision"] == "bf16")
        return Progress(
            self.folder,
            attempt,
            steps=self.steps,
            batch_tokens=self.science["batch_rows"] * tokens,
            bytes_per_token=self.stream.bytes_per_token,
            flops_per_token=flops.total,
            device_flops=rate * self.ranks.world,
            device=self.ranks.device,
        )

    def begin(self, *, again: bool = False) -> int:
        """Take up the newest state that is there; returns the steps already done. `again`: the engine has been used."""
        first, state = checkpoint.load(self.engine, self.checkpoints, self.ranks, self.zero, self.returns.from_before)
        if first == 0 and self.trunk is not None:
            folder, step = self.trunk
            first, state = start_from_trunk(
                self.engine,
                folder,
                self.returns.earliest(step),
                self.ranks,
                self.zero,
                folder=self.folder,
                batch_tokens=self.science["batch_rows"] * self.science["row_tokens"],
            )
            state = {"watch": state.get("watch", {}), "passed_over": state.get("passed_over", ())}
            if not self.returns.windows:
                self.returns.add(*map(tuple, state["passed_over"]), write=self.ranks.first)
        if first == 0 and again:
            checkpoint.start_over(self.engine, self._model(), self.zero)
            (self.folder / TAKEN).unlink(missing_ok=True)
        self.updater.watch.restore(state.get("watch", {}))
        self.loss_sum.fill_(state.get("loss_sum", 0.0))
        self.taken.fill_(state.get("unlogged", 0))
        if self.progress is not None:
            self.progress.begin(first)
        return first

    def steps_from(self, first: int) -> None:
        """Train from step `first` to the last. Raises Stopped, TrainingFailed and _OffCourse."""
        science = self.science
        batches = self.stream.micro_batches(
            first,
            self.steps,
            batch_rows=science["batch_rows"],
            micro_rows=self.micro_rows,
            rank=self.ranks.rank,
            world=self.ranks.world,
        )
        self.engine.train()
        last_save, norm = time.monotonic(), float("nan")
        for step in range(first, self.steps):
            micro_batches = [next(batches) for _ in range(self.accumulation)]
            rate = learning_rate_at(step, steps=self.steps, peak=science["learning_rate"], schedule=science["schedule"])
            update = None if self.returns.passes_over(step) else self._update(step, micro_batches, rate)
            done = step + 1
            looks = done % LOOK_EVERY == 0 or done == self.steps
            if looks and self.updater.watch.in_a_row >= STEPS_IN_A_ROW:
                self._go_back(done)
            if done % self.log_every == 0 or done == self.steps:
                if update is not None and self.progress is not None:
                    norm = float(update.gradient_norm)
                self._tell(done, rate, norm)
            if done in self.keep:
                kept = checkpoint.Checkpoints(kept_folder(self.folder, done), self.whose)
                checkpoint.save(self.engine, kept, done, self.ranks, self.zero, self._state())
            if done < self.steps and (self.ranks.world == 1 or looks):
                due = time.monotonic() - last_save > self.execution["checkpoint_seconds"]
                if self._save_or_stop(done, due):
                    last_save = time.monotonic()

    def _update(self, step: int, micro_batches: list[Masked], rate: float) -> Update:
        if self.config.dropout:
            # The only draw that knows the rank: with dropout, another rank count trains another, equally random, run.
            torch.manual_seed(key(self.science["seed"], "dropout", step, self.ranks.rank) >> 1)
        device, update = self.ranks.device, None
        for masked in micro_batches:
            loss = self.engine(
                torch.from_numpy(masked.ids_BT).to(device, non_blocking=True),
                torch.from_numpy(masked.index_N).to(device, non_blocking=True),
                torch.from_numpy(masked.labels_N).to(device, non_blocking=True),
            )
            set_learning_rate(self.engine, rate)
            self.engine.backward(loss)
            update = self.updater.step(loss)
        assert update is not None
        self.loss_sum += torch.where(update.refused, 0.0, update.loss)
        self.taken += ~update.refused
        return update

    def _tell(self, done: int, rate: float, norm: float) -> None:
        if self.progress is not None:
            taken = int(self.taken)
            self.progress.tell(
                done,
                loss=float(self.loss_sum) / taken if taken else None,
                rate=rate,
                norm=norm,
                skipped=self.updater.watch.refused + self.returns.passed_over(done),
                epochs=self.stream.epochs(done * self.science["batch_rows"]),
            )
        self.loss_sum.zero_()
        self.taken.zero_()

    def _state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the engine; the same on all ranks."""
        return {
            "loss_sum": float(self.loss_sum),
            "unlogged": int(self.taken),
            "watch": self.updater.watch.state(),
            "passed_over": self.returns.windows,
        }

    def _save_or_stop(self, done: int, due: bool) -> bool:
        """Save if that is due or a stop was asked for, of any rank; whether it was. Raises Stopped."""
        wanted = _agreed(int(self.stop.raised) * 2 + int(due), self.ranks)
        # What is refused may be the weights' fault: then an older checkpoint is the better one to go back to.
        if wanted == 0 or (wanted == 1 and self.updater.watch.in_a_row):
            return False
        problem = checkpoint.save(self.engine, self.checkpoints, done, self.ranks, self.zero, self._state())
        if self.progress is not None:
            self.progress.heartbeat.problem = problem
        if wanted >= 2:
            raise Stopped(f"stopped at step {done} of {self.steps}, {problem or 'saved'}")
        return True

    def _go_back(self, done: int) -> None:
        """Note what to pass over from now on. Raises _OffCourse, or TrainingFailed when that was tried often enough."""
        watch = self.updater.watch
        window = self.returns.window(done, watch.in_a_row)
        why = (
            f"the loss or its gradient was not finite, or far above those before, at {watch.in_a_row} steps in a row "
            f"up to step {done}"
        )
        if len(self.returns.windows) >= MOST_RETURNS:
            raise LossFailed(
                f"{why}, and going back {MOST_RETURNS} times past what led there did not help: lower "
                "recipe.learning_rate, or lengthen recipe.schedule.warmup"
            )
        self.returns.add(window, write=self.ranks.first)
        if self.ranks.first:
            say(f"{why}: going back to before step {window[0]} and passing over the batches from there to step {done}")
        raise _OffCourse


def split_batch(batch_rows: int, world: int, micro_rows: int | None) -> tuple[int, int]:
    """(rows a rank holds at once, accumulation steps) whose product over all ranks is the global batch.

    Raises TrainingFailed when they cannot multiply to it.
    """
    share, rest = divmod(batch_rows, world)
    micro = min(micro_rows or share, share)
    if rest or not share or share % micro:
        raise TrainingFailed(
            f"a global batch of {batch_rows} rows does not split over {world} devices in micro-batches of "
            f"{micro_rows or 'any'} rows: change execution.devices or execution.micro_rows"
        )
    return micro, share // micro


def _agreed(wanted: int, ranks: Ranks) -> int:
    """The largest wish of any rank."""
    if ranks.world == 1:
        return wanted
    tensor = torch.tensor(wanted, device=ranks.device)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return int(tensor)
