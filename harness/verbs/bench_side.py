"""One side of `babelscale bench train`, in a process of its own: reads a line of JSON, does it, answers with one.

Ours is the trainer's own engine and memory setting. Theirs is a plain loop around transformers' model: autocast,
backward, clip, the same fused AdamW.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.batches.keyed import key
from harness.batches.masking import mask_rows
from harness.memory import keep_freed_memory, release_freed_memory
from harness.train.engine import build_engine, decayed_groups, set_learning_rate
from harness.train.progress import matrix_product_flops
from harness.train.ranks import Ranks, joined
from harness.train.update import Updater
from models.heads import build_masked_lm
from models.huggingface import transformers_config
from models.huggingface_weights import transformers_weights
from models.sizes import EncoderConfig

RATE, BETAS, EPSILON, DECAY, CLIP = 1e-4, (0.9, 0.98), 1e-6, 0.01, 1.0
PRODUCT_SIDE, PRODUCTS = {"cpu": 2048, "cuda": 8192}, 8

Step = Callable[[], torch.Tensor]


def main() -> None:
    side, answers = sys.argv[1], sys.stdout
    sys.stdout = sys.stderr  # libraries that print must not speak between the answers
    spec = json.loads(sys.stdin.readline())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ranks = stack.enter_context(joined(0, 1, 0, folder / "rendezvous"))
        try:
            importlib.import_module("deepspeed" if side == "babelscale" else "transformers")
        except ImportError:
            sentence = "the baseline is transformers, which is not installed: pip install 'babelscale[transformers]'"
            print(json.dumps({"bad_input": sentence}), file=answers, flush=True)
            return
        imported = 0 if ranks.device.type == "cuda" else _status("VmRSS")
        step = (_ours if side == "babelscale" else _theirs)(spec, ranks)
        _begin_peak(ranks)
        print(json.dumps({"ready": side}), file=answers, flush=True)
        while json.loads(sys.stdin.readline()) == "step":
            began = time.perf_counter()
            loss = float(step())
            if ranks.device.type == "cuda":
                torch.cuda.synchronize()
            answer: dict[str, Any] = {"loss": loss, "seconds": time.perf_counter() - began}
            print(json.dumps(answer), file=answers, flush=True)
        peak = _peak(ranks) - imported
        print(json.dumps(_describe(ranks, spec["bf16"]) | {"peak_bytes": peak}), file=answers, flush=True)


def _batch(spec: dict[str, Any], config: EncoderConfig, device: torch.device) -> tuple[torch.Tensor, ...]:
    """(ids shown (B, T), flat index (N,), labels (N,)): random pieces, the same on both sides."""
    rng = np.random.Generator(np.random.Philox(key=key(0, "bench")))
    ids_BT = rng.integers(4, config.vocabulary - 1, (spec["rows"], config.positions))
    row_keys = np.arange(spec["rows"], dtype=np.uint64)
    masked = mask_rows(ids_BT, row_keys, count=spec["masks"], vocabulary=config.vocabulary)
    arrays = (masked.ids_BT, masked.index_N, masked.labels_N)
    return tuple(torch.from_numpy(array).to(device) for array in arrays)


def _ours(spec: dict[str, Any], ranks: Ranks) -> Step:
    keep_freed_memory()
    config = EncoderConfig(**spec["model"])
    optimizer = {"beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON, "weight_decay": DECAY}
    engine = build_engine(
        build_masked_lm(config, 0),
        ranks,
        optimizer=optimizer,
        bf16=spec["bf16"],
        zero_stage=0,
        micro_rows=spec["rows"],
        accumulation=1,
        compiled=spec["compiled"],
    )
    engine.train()
    updater = Updater(engine, ranks, zero_stage=0, clip=CLIP)
    batch = _batch(spec, config, ranks.device)

    def step() -> torch.Tensor:
        loss: torch.Tensor = engine(*batch)
        set_learning_rate(engine, RATE)
        engine.backward(loss)
        updater.step(loss)
        return loss.detach()

    return step


def _theirs(spec: dict[str, Any], ranks: Ranks) -> Step:
    import transformers

    transformers.logging.set_verbosity_error()
    config = EncoderConfig(**spec["model"])
    weights = transformers_weights(build_masked_lm(config, 0))
    model = transformers.XLMRobertaForMaskedLM(transformers.XLMRobertaConfig(**transformers_config(config)))
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    del weights
    if spec["keep_freed"]:
        keep_freed_memory()
    model = model.to(ranks.device).train()  # type: ignore[arg-type]
    adamw = torch.optim.AdamW(decayed_groups(model, DECAY), lr=RATE, betas=BETAS, eps=EPSILON, fused=True)
    shown_BT, index_N, labels_N = _batch(spec, config, ranks.device)
    labels_BT = torch.full((shown_BT.numel(),), -100, device=ranks.device)
    labels_BT[index_N] = labels_N
    labels_BT = labels_BT.view_as(shown_BT)
    attention_BT = torch.ones_like(shown_BT)

    def step() -> torch.Tensor:
        with torch.autocast(ranks.device.type, dtype=torch.bfloat16, enabled=spec["bf16"]):
            loss: torch.Tensor = model(input_ids=shown_BT, attention_mask=attention_BT, labels=labels_BT).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        adamw.step()
        adamw.zero_grad()
        return loss.detach()

    return step


def _begin_peak(ranks: Ranks) -> None:
    """Count the peak anew, so that building the model twice over for equal weights is not in it."""
    release_freed_memory()
    if ranks.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM begins again at VmRSS


def _peak(ranks: Ranks) -> int:
    return torch.cuda.max_memory_allocated() if ranks.device.type == "cuda" else _status("VmHWM")


def _status(field: str) -> int:
    """A size from /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def _describe(ranks: Ranks, bf16: bool) -> dict[str, Any]:
    """The device, and what MFU is a share of."""
    device = ranks.device
    flops = matrix_product_flops(device, bf16=bf16, side=PRODUCT_SIDE[device.type], products=PRODUCTS)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return {"device": name, "matrix_product_flops": flops}


if __name__ == "__main__":
    main()
