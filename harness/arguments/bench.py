"""Options of `babelscale bench WHAT`: one sub-verb each, so that each takes only what means something to it."""

from __future__ import annotations

import argparse
from typing import Any

from harness.arguments import positive
from models.sizes import NAMED_SIZES


def add_bench(verbs: Any, common: argparse.ArgumentParser) -> None:
    """`verbs` is what `add_subparsers` gave; `common` holds the options of every verb."""
    bench = verbs.add_parser(
        "bench",
        help="measure speed against a named baseline",
        description="Speed as a ratio against a named baseline, measured in the same process.",
    )
    whats = bench.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_train(_what(whats, common, "train", "bench_train:bench", "one training step against transformers'", _TRAIN))
    _add_tokenize(
        _what(whats, common, "tokenize", "bench_tokenize:bench", "text into shards against SentencePiece", _TOKENIZE)
    )
    _add_loader(
        _what(whats, common, "loader", "bench_loader:bench_loader", "ready batches against the demo's step", _LOADER)
    )
    _add_evaluate(
        _what(whats, common, "evaluate", "bench_evaluate:bench", "batches of like length against padded", _EVALUATE)
    )
    _add_plan(_what(whats, common, "plan", "bench_plan:bench", "a plan of ten thousand cells", _PLAN))
    _add_track(_what(whats, common, "track", "bench_track:bench", "training beside a W&B that is dead", _TRACK))
    _add_figures(_what(whats, common, "figures", "bench_figures:bench", "the figures of a thousand runs", _FIGURES))


_TRAIN = """\
Tokens per second of one training step of the engine that runs train with, against a plain loop around
transformers' XLMRobertaForMaskedLM: same weights, batch, masks, optimizer, clipping and precision. The two
take their steps in turn, in processes of their own; the first losses must agree, or there is no result."""
_EVALUATE = """\
Items per second, scored and fine-tuned on, in batches of like length as evaluate makes them, against batches
in the items' own order, padded to their longest row or to the model's row, in turn in one process. The items'
lengths are those of XNLI's pairs."""
_LOADER = """\
Tokens per second of ready masked batches, and their share of one training step of the demo's recipe, medians,
in the same process."""


def _what(
    whats: Any, common: argparse.ArgumentParser, name: str, target: str, help: str, description: str
) -> argparse.ArgumentParser:
    entry: argparse.ArgumentParser = whats.add_parser(
        name,
        help=help,
        description=description,
        parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    entry.set_defaults(target=target)
    entry.add_argument("--json", action="store_true", help="print JSON for scripts")
    return entry


def _add_train(train: argparse.ArgumentParser) -> None:
    train.add_argument("--against", choices=["transformers"], default="transformers", help="the baseline")
    train.add_argument("--vocabulary", type=positive, default=32_000, help="rows of the token table")
    train.add_argument("--size", choices=list(NAMED_SIZES), help="a named size; --width and --layers go before it")
    train.add_argument("--width", type=positive, help="default: 256")
    train.add_argument("--layers", type=positive, help="default: 4")
    train.add_argument("--rows", type=positive, default=16)
    train.add_argument("--tokens", type=positive, default=128, help="tokens per row")
    train.add_argument("--steps", type=positive, default=8, help="timed steps of each side")
    train.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    train.add_argument(
        "--compile",
        action="store_true",
        help="our blocks compiled, as by execution.compile; the baseline stays as it is",
    )
    train.add_argument(
        "--same-allocator",
        action="store_true",
        help="the baseline too keeps freed memory and asks for huge pages, as our trainer does (glibc)",
    )


def _add_loader(loader: argparse.ArgumentParser) -> None:
    loader.add_argument("--width", type=positive, default=32, help="a width of the demo")
    loader.add_argument("--steps", type=positive, default=320, help="timed steps")
    loader.add_argument("--threads", type=positive, default=1, help="CPU threads of the step")


_PLAN = """\
Seconds to read, expand and price a study of 10,000 cells of up to 100 languages, beside the seconds that checking
as many recipes one by one takes."""


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument("--items", type=positive, default=1_000)
    evaluate.add_argument("--width", type=positive, default=256)
    evaluate.add_argument("--layers", type=positive, default=4)
    evaluate.add_argument("--steps", type=positive, default=20, help="training steps of a turn (default: 20)")
    evaluate.add_argument("--threads", type=positive, default=1)
    evaluate.add_argument("--precision", choices=["bf16", "fp32"], default="fp32")
    evaluate.add_argument("--repeats", type=positive, default=3, help="turns (default: 3)")


def _add_plan(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("--repeats", type=positive, default=3, help="turns (default: 3)")


_TOKENIZE = """\
Bytes of text per second into shards (read, encoded, written, digested, flushed), with one process and with two,
against a plain loop of SentencePiece's encode over the same documents in memory, in turn."""


def _add_tokenize(tokenize: argparse.ArgumentParser) -> None:
    tokenize.add_argument(
        "--corpus", metavar="NAME", default="demo", help="whose text (default: demo, made if need be)"
    )
    tokenize.add_argument("--vocabulary", type=positive, default=8_000)
    tokenize.add_argument("--algorithm", choices=["unigram", "bpe"], default="unigram")
    tokenize.add_argument(
        "--megabytes", type=positive, default=128, help="of text; a smaller corpus is repeated (default: 128)"
    )
    tokenize.add_argument("--repeats", type=positive, default=3, help="turns of all sides (default: 3)")


_TRACK = """\
Tokens per second of training beside a W&B server that is down, that never answers, or that refuses the key, against
training with W&B disabled: the demo's step, and beside it the process that feeds W&B in real runs, in turns of
--seconds. Also the CPU seconds that this process took: most are its first try, which a longer run pays once."""


def _add_track(track: argparse.ArgumentParser) -> None:
    track.add_argument("--seconds", type=positive, default=30, help="of training a turn (default: 30)")
    track.add_argument("--threads", type=positive, default=1, help="CPU threads of the step (default: 1)")
    track.add_argument("--repeats", type=positive, default=5, help="turns of each server (default: 5)")


_FIGURES = """\
Seconds that `babelscale figures` takes for a made-up study of 1,000 runs of up to 60 languages, in a process of its own
(reading included), beside as many plain figures of matplotlib in the same three formats."""


def _add_figures(figures: argparse.ArgumentParser) -> None:
    figures.add_argument("--seeds", type=positive, default=10, help="of each of the 100 cells (default: 10)")
    figures.add_argument("--repeats", type=positive, default=3, help="turns (default: 3)")
