"""The training loop of one run, on every rank: batches in, updates out, a line of metrics now and then.

Everything random is a function of the seed and a number (sample, step), so the only state between steps is what the
engine holds and the step itself. A stop (a signal) is agreed by all ranks at a step boundary, saved, and told
apart from the end by `Stopped`.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.utils import get_total_norm

from harness.batches.keyed import key
from harness.batches.stream import BatchStream
from harness.branches import kept_folder, start_from_trunk
from harness.store import digest
from harness.train import checkpoint
from harness.train.engine import build_engine, gathered_weights, set_learning_rate
from harness.train.heartbeat import Heartbeat, Journal, StopFlag, say
from harness.train.ranks import Ranks, summed
from harness.train.schedule import learning_rate_at
from models.heads import build_masked_lm
from models.sizes import EncoderConfig

LINES_PER_RUN = 200
"""Metrics lines a run writes, whatever its length."""
AGREE_EVERY = 10
"""Steps between the agreements of several ranks on stopping and saving; one rank asks itself at every step."""


class Stopped(Exception):
    """The run was asked to stop; its state is saved and the next attempt goes on from it."""


class TrainingFailed(Exception):
    """The run cannot go on, and would fail again in the same way."""


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
) -> Trained:
    """Train one run from its newest checkpoint, or from its trunk's (folder and step), or from its seed, to its last
    step; commit its state after the steps in `keep`, for runs that branch there (`harness.branches`).
    """
    steps, batch_rows, seed = science["steps"], science["batch_rows"], science["seed"]
    micro_rows, accumulation = split_batch(batch_rows, ranks.world, execution["micro_rows"])
    config = EncoderConfig(**science["model"])
    engine = build_engine(
        build_masked_lm(config, key(seed, "weights") >> 1),
        ranks,
        optimizer=science["optimizer"],
        bf16=science["precision"] == "bf16",
        zero_stage=execution["zero"],
        micro_rows=micro_rows,
        accumulation=accumulation,
        hidden_rate_scale=science.get("hidden_rate_scale", 1.0),
    )
    whose = digest(science)
    checkpoints = checkpoint.Checkpoints(folder / "checkpoints", whose)
    first, state = checkpoint.load(engine, checkpoints, ranks, execution["zero"])
    if first == 0 and trunk is not None:
        tokens = batch_rows * science["row_tokens"]
        first = start_from_trunk(engine, *trunk, ranks, execution["zero"], folder=folder, batch_tokens=tokens)
    heartbeat = Heartbeat(folder, attempt, steps) if ranks.first else None
    journal = Journal(folder / "metrics.jsonl")
    log_every = max(1, steps // LINES_PER_RUN)
    # Losses since the last line of metrics: they travel in the checkpoint, so a resumed run writes the same lines.
    carried = state.get("loss_sum", 0.0) * accumulation * ranks.world if ranks.first else 0.0
    loss_sum = torch.tensor(carried, dtype=torch.float64, device=ranks.device)
    losses, last_log, last_save = state.get("unlogged", 0) * accumulation, time.monotonic(), time.monotonic()
    began = time.monotonic()
    gc.collect()
    gc.freeze()  # the collector never walks the model again

    batches = stream.micro_batches(
        first, steps, batch_rows=batch_rows, micro_rows=micro_rows, rank=ranks.rank, world=ranks.world
    )
    engine.train()
    for step in range(first, steps):
        rate = learning_rate_at(step, steps=steps, peak=science["learning_rate"], schedule=science["schedule"])
        if config.dropout:
            # The only draw that knows the rank: with dropout, another rank count trains another, equally random, run.
            torch.manual_seed(key(seed, "dropout", step, ranks.rank) >> 1)
        done = step + 1
        logged = done % log_every == 0 or done == steps
        norm = None  # DeepSpeed keeps none at stage 0, though it clips: it is taken from the gradients then
        for micro in range(accumulation):
            masked = next(batches)
            loss = engine(
                torch.from_numpy(masked.ids_BT).to(ranks.device, non_blocking=True),
                torch.from_numpy(masked.index_N).to(ranks.device, non_blocking=True),
                torch.from_numpy(masked.labels_N).to(ranks.device, non_blocking=True),
            )
            set_learning_rate(engine, rate)
            engine.backward(loss)
            if logged and execution["zero"] == 0 and micro == accumulation - 1:
                norm = float(get_total_norm([p.grad for p in engine.module.parameters() if p.grad is not None]))
            engine.step()
            loss_sum += loss.detach()
            losses += 1

        if logged:
            mean = summed(float(loss_sum), ranks) / (losses * ranks.world)
            if not math.isfinite(mean):
                raise TrainingFailed(f"the loss is {mean} at step {done}: lower recipe.learning_rate")
            now = time.monotonic()
            speed = log_every * batch_rows * science["row_tokens"] / max(1e-9, now - last_log)
            if execution["zero"] > 0:
                norm = engine.get_global_grad_norm()
            if heartbeat is not None:
                row = {
                    "attempt": attempt,
                    "step": done,
                    "loss": mean,
                    "learning_rate": rate,
                    "gradient_norm": None if norm is None else float(norm),
                    "tokens": done * batch_rows * science["row_tokens"],
                    "tokens_per_second": round(speed),
                }
                journal.write(row | ({"problem": heartbeat.problem} if heartbeat.problem else {}))
                say(f"step {done}/{steps}  loss {mean:.4f}  rate {rate:.2e}  {speed:,.0f} tokens/s")
                heartbeat.beat(
                    done, loss=mean, tokens_per_second=speed, steps_done_here=done - first, seconds=now - began
                )
            loss_sum.zero_()
            losses, last_log = 0, now
        if done in keep:
            kept = checkpoint.Checkpoints(kept_folder(folder, done), whose)
            checkpoint.save(engine, kept, done, ranks, execution["zero"])
        if done < steps and (ranks.world == 1 or done % AGREE_EVERY == 0):
            save_due = time.monotonic() - last_save > execution["checkpoint_seconds"]
            wanted = _agreed(int(stop.raised) * 2 + int(save_due), ranks)
            if wanted:
                state = {
                    "loss_sum": summed(float(loss_sum), ranks) / (accumulation * ranks.world),
                    "unlogged": losses // accumulation,
                }
                problem = checkpoint.save(engine, checkpoints, done, ranks, execution["zero"], state)
                last_save = time.monotonic()
                if heartbeat is not None:
                    heartbeat.problem = problem
                if wanted >= 2:
                    raise Stopped(f"stopped at step {done} of {steps}, {problem or 'saved'}")

    seconds = time.monotonic() - began
    drawn = stream.draws(steps * batch_rows)
    return Trained(
        weights=gathered_weights(engine, execution["zero"]),
        epochs=stream.epochs(steps * batch_rows),
        expected_epochs=stream.expected_epochs(steps * batch_rows),
        tokens={language: count * science["row_tokens"] for language, count in drawn.items()},
        seconds=seconds,
    )


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
