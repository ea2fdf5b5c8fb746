"""What rank 0 tells of the steps: metrics lines, the log's lines, the heartbeat."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from harness.train.heartbeat import Heartbeat, Journal, clock, say

LINES_PER_RUN = 200
"""Metrics lines a run writes, whatever its length."""
_PRODUCT_SIDE, _PRODUCTS = {"cpu": 1024, "cuda": 8192}, 6


def matrix_product_flops(device: torch.device, *, bf16: bool, side: int = 0, products: int = _PRODUCTS) -> float:
    """FLOP/s of a plain square matrix product here and now, in the run's type: what MFU is a share of.

    The best of `products`. Draws nothing.
    """
    side = side or _PRODUCT_SIDE[device.type]
    left = torch.full((side, side), 0.01, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    seconds = []
    for _ in range(products):
        began = time.perf_counter()
        left @ left
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * side**3 / min(seconds)


def peak_memory_gb(device: torch.device) -> float:
    """The most memory that this attempt's rank 0 held at once: of the device, or of the process on a CPU; GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


class Progress:
    """Rank 0's account of one attempt. Losses are nats per masked token, means over the updates that were taken."""

    def __init__(
        self,
        folder: Path,
        attempt: int,
        *,
        steps: int,
        batch_tokens: int,
        bytes_per_token: float,
        flops_per_token: float,
        device_flops: float,
        device: torch.device,
    ) -> None:
        self.heartbeat = Heartbeat(folder, attempt, steps)
        self._journal = Journal(folder / "metrics.jsonl")
        self._attempt, self._steps, self._batch_tokens = attempt, steps, batch_tokens
        self._bytes_per_token = bytes_per_token
        self._use = flops_per_token / device_flops
        self._device = device
        self.begin(0)

    def begin(self, first: int) -> None:
        """The steps go on from `first`."""
        self._first = self._last = first
        self._began = self._last_time = time.monotonic()

    def tell(
        self,
        done: int,
        *,
        loss: float | None,
        rate: float,
        norm: float,
        skipped: int,
        epochs: Mapping[str, float],
    ) -> None:
        """A line of metrics and of the log, after `done` steps. `loss` is None where every update was refused.

        `epochs`: how often each language's text was passed so far.
        """
        now = time.monotonic()
        speed = (done - self._last) * self._batch_tokens / max(1e-9, now - self._last_time)
        self._last, self._last_time = done, now
        bits = None if loss is None else loss / math.log(2) / self._bytes_per_token
        mfu = speed * self._use
        row = {
            "attempt": self._attempt,
            "step": done,
            "loss": loss,
            "bits_per_byte": bits,
            "learning_rate": rate,
            "gradient_norm": norm if math.isfinite(norm) else None,
            "tokens": done * self._batch_tokens,
            "tokens_per_second": round(speed),
            "mfu": round(mfu, 4),
            "memory_gb": round(peak_memory_gb(self._device), 3),
            "epochs": {language: round(passed, 4) for language, passed in epochs.items()},
            "skipped": skipped,
        }
        problem = self.heartbeat.problem
        self._journal.write(row | ({"problem": problem} if problem else {}))
        seconds = now - self._began
        left = seconds / max(1, done - self._first) * (self._steps - done)
        say(
            f"step {done}/{self._steps}  "
            + ("every update refused" if loss is None else f"loss {loss:.4f}  {bits:.3f} bits per byte")
            + f"  rate {rate:.2e}  {speed:,.0f} tokens/s  MFU {mfu:.0%}  {clock(left)} left"
            + (f"  {skipped} skipped" if skipped else "")
        )
        self.heartbeat.beat(done, loss=loss, bits_per_byte=bits, tokens_per_second=round(speed), seconds_left=left)
