"""babelscale bench track: training's speed beside a W&B that does not work, against W&B disabled.

One process trains on and on, as a run of the demo does, in turns: with W&B disabled, and with the real feeder beside it
and a server on the loopback that is down, silent or refuses the key. Each turn with a server is a share of the two
disabled ones around it, so that a machine that grows slower or faster meets both; the disabled turns as shares of their
own neighbours tell what chance makes of equal work. On a machine that others use too only the CPU seconds are steady:
the share of all CPU that went to the feeder is what training loses where it has no core to spare.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import statistics
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from harness.launch.attempts import EXECUTION
from harness.launch.freeze import freeze
from harness.store import Store, write_json
from harness.verbs.show import console, human

DISABLED = "disabled"
SERVERS = ("down", "silent", "refusing")
"""Nothing listens; it takes connections and never answers; it answers that the key is none."""
LINE_SECONDS = 1.0
"""Between lines of metrics."""
_NO_KEY = "0" * 40
"""What the client takes for a key; nobody's."""


def bench(options: Namespace) -> int:
    """Turns of training, each with a server between two without, `options.repeats` times over."""
    ratios: dict[str, list[float]] = {server: [] for server in SERVERS}
    spent: dict[str, list[float]] = {server: [] for server in SERVERS}
    shares: dict[str, list[float]] = {server: [] for server in SERVERS}
    with tempfile.TemporaryDirectory(prefix="babelscale-bench-", ignore_cleanup_errors=True) as folder:
        training = _Training(Store(folder), options.threads)
        training.turn(options.seconds / 4, DISABLED)
        disabled = [training.turn(options.seconds, DISABLED).speed]
        for _ in range(options.repeats):
            for server in SERVERS:
                turn = training.turn(options.seconds, server)
                disabled.append(training.turn(options.seconds, DISABLED).speed)
                spent[server].append(turn.beside_seconds)
                shares[server].append(turn.beside_seconds / (turn.beside_seconds + turn.own_seconds))
                ratios[server].append(turn.speed / statistics.fmean(disabled[-2:]))
    speed = statistics.median(disabled)
    control = [disabled[at] / statistics.fmean(disabled[at - 1 : at + 2 : 2]) for at in range(1, len(disabled) - 1)]
    result: dict[str, Any] = {
        "threads": options.threads,
        "seconds": options.seconds,
        "repeats": options.repeats,
        "tokens_per_second": speed,
        "disabled": _spread(control),
        "servers": {
            server: _spread(ratios[server])
            | {
                "feeder_cpu_seconds": statistics.median(spent[server]),
                "feeder_cpu_share": statistics.median(shares[server]),
            }
            for server in SERVERS
        },
    }
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        console.print(_sentences(result), highlight=False, soft_wrap=True)
    return 0


def _spread(ratios: list[float]) -> dict[str, Any]:
    return {"ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios), "turns": len(ratios)}


def _sentences(result: dict[str, Any]) -> str:
    lines = [
        f"{human(result['tokens_per_second'])} tokens/s on {result['threads']} threads, W&B disabled, in turns of "
        f"{result['seconds']} s; each turn as a share of the mean of the disabled ones before and after it:"
    ]
    for name, told in {"disabled": result["disabled"], **result["servers"]}.items():
        cpu = ""
        if "feeder_cpu_seconds" in told:
            cpu = f"; the feeder took {told['feeder_cpu_seconds']:.2f} s of CPU, {told['feeder_cpu_share']:.1%} of all"
        side = name if name == DISABLED else f"server {name}"
        lines.append(
            f"{side}: median {told['ratio']:.3f} of {told['turns']} turns, "
            f"{told['lowest']:.3f} to {told['highest']:.3f}{cpu}"
        )
    return "\n".join(lines)


@dataclass(frozen=True)
class _Turn:
    speed: float
    """Tokens per second."""
    own_seconds: float
    """CPU of the training."""
    beside_seconds: float
    """CPU of all that ran beside it."""


class _Training:
    """A run of the demo in this process, on random text, with its files in `store`."""

    def __init__(self, store: Store, threads: int) -> None:
        import torch

        from harness.batches.stream import BatchStream
        from harness.memory import keep_freed_memory
        from harness.train.engine import MaskedLMStep, decayed_groups
        from harness.verbs.bench_loader import random_shards
        from models.heads import build_masked_lm
        from models.sizes import EncoderConfig
        from sweeps.grid import expand
        from sweeps.sampling import language_distribution
        from sweeps.study import load_study

        study = load_study("demo")
        run = max(expand(study, "bench"), key=lambda run: (run.axes["width"], run.axes["K"]))
        freeze(store, study, [run], corpus_note="", command="bench track")
        self.store, self.run = store, run.id
        self._attempt, self._done, self._steps = 0, 0, int(run.axes["steps"])
        torch.set_num_threads(threads)
        keep_freed_memory()
        science = run.science
        self._rows, self._tokens = science["batch_rows"], science["row_tokens"]
        config = EncoderConfig(**science["model"])
        shards = random_shards(science["languages"], config.vocabulary)
        q = language_distribution(dict.fromkeys(shards, 1.0), science["alpha"])
        self._stream = BatchStream(
            shards,
            q,
            seed=0,
            tokens_per_row=self._tokens,
            mask_rate=science["mask_rate"],
            vocabulary=config.vocabulary,
        )
        self._model = MaskedLMStep(build_masked_lm(config, 0), bf16=science["precision"] == "bf16")
        rate = science["learning_rate"]
        self._optimizer = torch.optim.AdamW(decayed_groups(self._model, 0.01), lr=rate, fused=True)

    def turn(self, seconds: float, side: str) -> _Turn:
        """Train for `seconds` as one attempt, W&B disabled or beside a server that does not work."""
        from harness.track.beside import Beside

        self._attempt += 1
        folder = self.store.run(self.run)
        attempt = folder / "attempts" / f"{self._attempt:03d}"
        attempt.mkdir(parents=True)
        execution = {"track": {"mode": DISABLED if side == DISABLED else "online", "entity": "bench"}}
        write_json(attempt / EXECUTION, {"execution": execution})
        spent, own = _children_seconds(), time.process_time()
        with _server(side) as url:
            with _variables(side, url), _standard_output_to(attempt / "log.out"):
                beside = Beside.start(self.store, self.run, self._attempt, execution)
            speed = self._train(folder, seconds)
            own = time.process_time() - own
            beside.end("stopped")
        said = (attempt / "log.out").read_text(encoding="utf-8")
        if said.count("W&B:") != (side != DISABLED):
            raise RuntimeError(f"with the server {side} the feeder must say one thing, and said: {said!r}")
        return _Turn(speed, own, _children_seconds() - spent)

    def _train(self, folder: Path, seconds: float) -> float:
        import torch

        from harness.train.progress import Progress

        progress = Progress(
            folder,
            self._attempt,
            steps=self._steps,
            batch_tokens=self._rows * self._tokens,
            bytes_per_token=4.0,
            flops_per_token=0.0,
            device_flops=1.0,
            device=torch.device("cpu"),
        )
        progress.begin(self._done)
        first, began = self._done, time.monotonic()
        told = began
        for masked in self._stream.micro_batches(first, 10**9, batch_rows=self._rows, micro_rows=self._rows):
            loss = self._model(*(torch.from_numpy(part) for part in (masked.ids_BT, masked.index_N, masked.labels_N)))
            loss.backward()
            self._optimizer.step()
            self._optimizer.zero_grad()
            self._done += 1
            now = time.monotonic()
            if now - told >= LINE_SECONDS:
                told = now
                with contextlib.redirect_stdout(None):
                    progress.tell(self._done, loss=float(loss.detach()), rate=0.01, norm=1.0, skipped=0, epochs={})
            if now - began >= seconds:
                break
        return (self._done - first) * self._rows * self._tokens / (time.monotonic() - began)


def _children_seconds() -> float:
    """CPU of the processes that ended, and of theirs that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def _variables(side: str, url: str) -> Iterator[None]:
    """The environment that the feeder is started in: none of the user's own W&B, the server of this turn."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    if side in SERVERS:
        os.environ |= {"WANDB_BASE_URL": url, "WANDB_API_KEY": _NO_KEY, "NO_PROXY": "127.0.0.1"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _standard_output_to(path: Path) -> Iterator[None]:
    """Of the processes that are started meanwhile."""
    kept = os.dup(1)
    with path.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


@contextlib.contextmanager
def _server(side: str) -> Iterator[str]:
    """Its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if side == "silent":
            yield url  # the kernel takes the connections, and nobody reads them
            return
    if side != "refusing":
        yield url
        return
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()


class _Refusing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b'{"errors": [{"message": "the key is refused"}]}')

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        pass
