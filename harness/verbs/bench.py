"""babelscale bench: speed as a ratio against a named baseline, measured in the same process."""

from __future__ import annotations

import json
import statistics
import time
from argparse import Namespace
from collections.abc import Callable

from harness.verbs.show import console, human
from sweeps.errors import BadInput

MASK_RATE = 0.15
WARM_UP = 2
LEAST_VOCABULARY = 16
"""Fewer entries leave no piece to draw beside the special ones."""


def bench(options: Namespace) -> int:
    """One training step of ours against transformers' XLMRobertaForMaskedLM with the same weights and batch."""
    try:
        import transformers
    except ImportError as error:
        raise BadInput(
            "the baseline is transformers, which is not installed: pip install 'babelscale[transformers]'"
        ) from error
    import numpy as np
    import torch

    from harness.batches.keyed import key
    from harness.batches.masking import mask_rows, masks_per_row
    from harness.train.engine import MaskedLMStep
    from models.heads import build_masked_lm
    from models.huggingface import transformers_config
    from models.huggingface_weights import transformers_weights
    from models.sizes import EncoderConfig, default_feedforward, default_heads

    transformers.logging.set_verbosity_error()
    try:
        config = EncoderConfig(
            kind="xlm-r",
            vocabulary=options.vocabulary + 2,
            width=options.width,
            layers=options.layers,
            heads=default_heads(options.width),
            feedforward=default_feedforward(options.width),
            positions=options.tokens,
        )
        count = masks_per_row(MASK_RATE, options.tokens)
        if options.vocabulary < LEAST_VOCABULARY:
            raise ValueError(f"--vocabulary is {options.vocabulary}: give at least {LEAST_VOCABULARY}")
    except ValueError as error:
        raise BadInput(str(error)) from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = options.precision == "bf16"
    ours = build_masked_lm(config, 0)
    theirs = transformers.XLMRobertaForMaskedLM(transformers.XLMRobertaConfig(**transformers_config(config)))
    theirs.load_state_dict(transformers_weights(ours), strict=False)
    theirs.tie_weights()
    ours_step, theirs = MaskedLMStep(ours, bf16=bf16).to(device), theirs.to(device).train()  # type: ignore[arg-type]

    rng = np.random.Generator(np.random.Philox(key=key(0, "bench")))
    ids_BT = rng.integers(4, config.vocabulary - 1, (options.rows, options.tokens))
    row_keys = np.arange(options.rows, dtype=np.uint64)
    masked = mask_rows(ids_BT, row_keys, count=count, vocabulary=config.vocabulary)
    shown = torch.from_numpy(masked.ids_BT).to(device)
    index, labels = torch.from_numpy(masked.index_N).to(device), torch.from_numpy(masked.labels_N).to(device)
    labels_BT = torch.full((options.rows * options.tokens,), -100, device=device)
    labels_BT[index] = labels
    labels_BT = labels_BT.view(options.rows, options.tokens)

    def baseline_loss() -> torch.Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            loss: torch.Tensor = theirs(input_ids=shown, attention_mask=torch.ones_like(shown), labels=labels_BT).loss
        return loss

    sides: dict[str, tuple[torch.nn.Module, Callable[[], torch.Tensor]]] = {
        "babelscale": (ours_step, lambda: ours_step(shown, index, labels)),
        "transformers": (theirs, baseline_loss),
    }
    optimizers = {
        name: torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True) for name, (module, _) in sides.items()
    }
    losses: dict[str, list[float]] = {name: [] for name in sides}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for step in range(WARM_UP + options.steps):
        for name, (_, loss_of) in sides.items():  # in turn, so that a slow moment of the machine meets both
            began = time.perf_counter()
            loss = loss_of()
            loss.backward()
            optimizers[name].step()
            optimizers[name].zero_grad()
            losses[name].append(float(loss.detach()))
            if step >= WARM_UP:
                seconds[name].append(time.perf_counter() - began)
    tolerance = 0.02 if bf16 else 1e-3
    apart = max(abs(a - b) for a, b in zip(losses["babelscale"], losses["transformers"], strict=True))
    if apart > tolerance:
        raise RuntimeError(f"the two sides do not train alike: losses differ by {apart:.4f}")
    tokens = options.rows * options.tokens
    median = {name: statistics.median(times) for name, times in seconds.items()}
    ratio = statistics.median(b / a for a, b in zip(seconds["babelscale"], seconds["transformers"], strict=True))
    result = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "model": {"width": config.width, "layers": config.layers, "vocabulary": options.vocabulary},
        "batch": {"rows": options.rows, "tokens": options.tokens, "masked": count, "precision": options.precision},
        "tokens_per_second": {name: tokens / value for name, value in median.items()},
        "ratio": ratio,
        "largest_loss_difference": apart,
        "steps": options.steps,
    }
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        speed = {name: human(value) for name, value in result["tokens_per_second"].items()}  # type: ignore[union-attr]
        console.print(
            f"{result['device']}: babelscale {speed['babelscale']} tokens/s, transformers {speed['transformers']}, "
            f"ratio {ratio:.2f} (median of {options.steps} pairs); losses agree to {apart:.1e}",
            highlight=False,
        )
    return 0
