"""Arguments of evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from harness.arguments import positive
from sweeps.tasks import TaskBlock

EVALUATE = """\
Scores a study's trained runs on one more task: heldout, intents, a benchmark that the study file has under `tasks`,
or any benchmark with the folder of its official files or a Hugging Face data set (hf:NAME[:CONFIG][@SPLIT]):

  babelscale evaluate STUDY --task sib200 --data sib-200/annotated --rates 1e-3,3e-3
  babelscale evaluate STUDY --task xnli --data XNLI-1.0 --train multinli_1.0_train.txt
  babelscale evaluate STUDY --task xnli --data hf:facebook/xnli --train hf:nyu-mll/multi_nli
  babelscale evaluate --model FOLDER --task xnli --data XNLI-1.0 --train SICK_train.txt

Benchmarks: xnli, sib200, conll, wikiann, masakhaner, ud-pos, udpos, xquad, mlqa, tatoeba, GLUE's mnli, mnli-mm, qnli,
qqp, sst-2, mrpc, sts-b; or the path of a Python file with a task of your own. The defaults are the paper's: zero-shot
from English, rate and epoch chosen on all dev sets together, three seeds. What is done is kept: a second time reads it.
"""


def add_evaluate(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("study", metavar="STUDY", nargs="?", help="name of a study, or path of a YAML file")
    entry.add_argument("--profile", help="which of the study's profiles (default: its first)")
    entry.add_argument("--where", help='only these cells, e.g. "K >= 6 and alpha == 0.3"')
    entry.add_argument(
        "--model", metavar="DIR", type=Path, help="a transformers folder (any encoder) instead of a study"
    )
    entry.add_argument("--task", required=True, metavar="NAME", help="heldout, intents, a benchmark, or a Python file")
    group = entry.add_argument_group("the benchmark")
    group.add_argument("--data", metavar="DIR", help="folder of its official files, or hf:NAME[:CONFIG][@SPLIT]")
    group.add_argument("--train", metavar="PATH", help="another set of the same format (or hf:NAME) to train on")
    group.add_argument("--dev", metavar="PATH", help="another (or hf:NAME) for the source's dev side")
    group.add_argument("--split", choices=["dev", "test"], help="the side that is scored (default: the task's)")
    group.add_argument("--test", metavar="PATH", help="with --setting translate-test, the scored sides' translations")
    group.add_argument("--setting", choices=get_args(TaskBlock.model_fields["setting"].annotation))
    group.add_argument("--select", choices=["source", "joint", "each"], help="whose dev sets choose (default: joint)")
    group.add_argument("--languages", metavar="A,B", help="codes of the benchmark, or all (default: those of the run)")
    group.add_argument("--rates", metavar="A,B", help="learning rates to choose from (default: the task's)")
    group.add_argument("--seeds", metavar="A,B", help="fine-tuning seeds (default: 0,1,2)")
    group.add_argument("--epochs", type=positive, help="at most (default: the task's)")
    group.add_argument("--batch-rows", type=positive, help="items of a batch (default: the task's)")
    group.add_argument("--patience", type=positive, help="epochs without a better dev score (default: 5)")
    group.add_argument("--dropout", type=float, help="of the head (default: 0.1)")
    group.add_argument("--pool", choices=["first", "mean"], help="a classifier reads <s>'s state, or the mean of all")
    group.add_argument("--weights", choices=["trained", "random"], help="random: a control without any pretraining")
    group.add_argument("--name", help="what records call it (default: the task, with -random for --weights random)")
