"""The command line: verbs, thin. Every verb imports what it needs when it runs, so `--help` answers at once.

Exit codes: 0 done, 1 some runs failed, 2 bad input, 3 the cluster refused, 4 over budget.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from harness.arguments import positive
from harness.arguments.bench import add_bench
from harness.arguments.corpus import add_corpus
from harness.arguments.evaluate import EVALUATE, add_evaluate
from harness.arguments.plan import PLAN, add_plan
from harness.arguments.results import COLLECT, FIGURES, REPORT, add_collect, add_figures, add_report
from harness.arguments.tokenizer import add_tokenizer
from harness.arguments.track import add_track
from harness.launch.causes import ADVICE
from harness.launch.slurm.client import Refused
from sweeps.errors import BadInput

RETRY = """\
Takes failed runs again, with the values of `execution` that --set changes: micro_rows, zero, devices, memory_gb,
hours, partition, sbatch.exclude, ... Their science, and so their id, stays. What would only fail again is refused: a
failure of memory, loss, data or code whose execution and code are as they were.

  babelscale retry STUDY                                    what was killed, lost with its node, out of time
  babelscale retry STUDY --cause memory --set micro_rows=8
  babelscale retry STUDY --cause node --set sbatch.exclude=node7
  babelscale retry STUDY --cause data --anyway              the cause lay outside, and is mended
"""

DOCTOR = """\
Checks by doing: Python and its packages, a product in bf16, the root (writing, locks, space), and, where there is a
Slurm, its limits and partitions. With --cluster slurm it also sends a job of a minute, which shows that jobs start
this Python, that files and locks are seen between machines, and that a signal arrives.

  babelscale doctor
  babelscale doctor --cluster slurm --set partition=gpu --set sbatch.account=mylab
"""

OK, SOME_FAILED, BAD_INPUT, REFUSED = 0, 1, 2, 3

_EPILOG = """\
a first look:
  babelscale demo                      the whole way on real text, on this machine, in minutes
  babelscale doctor                    what this machine can do

your own study:
  babelscale corpus add mytext FOLDER  one file a language: en.txt, de.txt.xz, ...
  babelscale plan STUDY.yaml           what it would run
  babelscale submit STUDY.yaml         start what is missing; the prompt comes back
  babelscale watch STUDY               look on; Ctrl-C only ends the looking
  babelscale report STUDY              figures and verdicts

when it goes wrong:
  babelscale why STUDY                 failures by cause, and what to do
  babelscale retry STUDY --cause memory --set micro_rows=8
  babelscale cancel STUDY              shows first what would be lost

A STUDY is the name of one that ships (demo) or the path of a YAML file.
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="babelscale",
        description="What does it cost a multilingual encoder to learn one more language? "
        "Runs the study and draws the answer.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--root", help="folder that holds everything (default: $BABELSCALE_ROOT, else ./babelscale-data)"
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, target: str, help: str, description: str = "", json: bool = False) -> argparse.ArgumentParser:
        entry = verbs.add_parser(
            name,
            help=help,
            description=description or help,
            parents=[common],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        entry.set_defaults(target=target)
        if json:
            entry.add_argument("--json", action="store_true", help="print JSON for scripts")
        return entry

    def study(entry: argparse.ArgumentParser, *, where: bool = True) -> argparse.ArgumentParser:
        entry.add_argument("study", metavar="STUDY", help="name of a study that ships, or path of a YAML file")
        entry.add_argument("--profile", help="which of the study's profiles (default: its first)")
        if where:
            entry.add_argument("--where", help='only these cells, e.g. "K >= 6 and alpha == 0.3"')
            entry.add_argument("--force", action="store_true", help="take a grid of more than 100,000 points")
        return entry

    def site(entry: argparse.ArgumentParser) -> None:
        entry.add_argument(
            "--site", metavar="FILE", help="YAML of `execution` keys for this site (or $BABELSCALE_SITE)"
        )
        entry.add_argument("--set", action="append", metavar="KEY=VALUE", help="one key of `execution`; repeatable")

    demo = verb(
        "demo",
        "demo:demo",
        "the whole way on real text, on this machine",
        "Corpus, tokenizer, shards, plan, runs, scores, figures, report: the study `demo` from nothing, in minutes.\n"
        "Stop it with Ctrl-C and start it again: it goes on where it was. A second time it only draws again.",
    )
    demo.add_argument("--profile", default="laptop", help="laptop (default), or smoke: a minute, shows nothing")
    demo.add_argument("--slots", type=positive, help="runs at the same time (default: one per core)")

    doctor = verb("doctor", "doctor:doctor", "what this machine and its cluster can do", DOCTOR, json=True)
    doctor.add_argument("--cluster", choices=["local", "slurm"], default="local", help="slurm: send a small job too")
    site(doctor)

    add_corpus(verbs, common)
    add_tokenizer(verbs, common)

    add_plan(study(verb("plan", "plan:plan", "the priced table of a study", PLAN, json=True)))
    submit = study(
        verb(
            "submit",
            "studies:submit",
            "start what is neither done nor in flight; detached",
            "Freezes the study's runs and starts a queue that works through them. Doing it twice is safe.",
            json=True,
        )
    )
    submit.add_argument("--cluster", choices=["local", "slurm"], default="local", help="where (default: this machine)")
    submit.add_argument("--slots", type=positive, help="local: runs at the same time (default: one per core or GPU)")
    submit.add_argument("--throttle", type=positive, metavar="N", help="slurm: jobs of one array at the same time")
    site(submit)
    run = study(verb("run", "studies:run", "one run here, now, shown until it ends", json=True), where=False)
    run.add_argument("--cell", metavar="ID", required=True, help="id of the run, or enough of its start to be unique")
    status = study(verb("status", "look:status", "state of every run", json=True))
    status.add_argument("--by", metavar="AXIS", help="a line for each value of an axis: K, alpha, width, ...")
    study(verb("watch", "look:watch", "a live table; Ctrl-C only ends the looking"), where=False)
    logs = study(verb("logs", "look:logs", "what a run printed"), where=False)
    logs.add_argument("--cell", metavar="ID", required=True, help="id of the run, or enough of its start to be unique")
    logs.add_argument("--attempt", type=positive, help="which attempt (default: the newest)")
    logs.add_argument("--rank", type=int, default=0, help="which rank (default: 0)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on printing until the run ends; Ctrl-C ends it")
    study(verb("why", "mend:why", "failures grouped by cause, and what to do", json=True))
    retry = study(verb("retry", "mend:retry", "failed runs once more, with other means", RETRY, json=True))
    retry.add_argument("--cause", action="append", choices=list(ADVICE), help="only failures of this cause; repeatable")
    retry.add_argument("--set", action="append", metavar="KEY=VALUE", help="a value of `execution`; repeatable")
    retry.add_argument("--anyway", action="store_true", help="also what would fail again: the cause is mended")
    cancel = study(verb("cancel", "mend:cancel", "end what is in flight; shows first what is lost"))
    cancel.add_argument("--yes", action="store_true", help="do not ask")
    add_evaluate(
        verb("evaluate", "evaluate:evaluate", "score a study's runs, or a model, on a task", EVALUATE, json=True)
    )

    add_collect(verb("collect", "results:collect", "the records of studies as Parquet, CSV, LaTeX", COLLECT, json=True))
    add_figures(verb("figures", "results:figures", "draw the figures of studies", FIGURES, json=True))
    add_report(
        verb("report", "results:report", "verdicts, laws, figures and tables: a page and LaTeX", REPORT, json=True)
    )
    export = verb("export", "results:export", "a model folder that transformers loads (gated models excepted)")
    export.add_argument("run", metavar="RUN", help="id of a finished run")
    export.add_argument("folder", metavar="DIR", help="a folder that does not exist yet")

    add_track(verbs, common)
    add_bench(verbs, common)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    if sys.version_info < (3, 11):
        print(f"babelscale needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return BAD_INPUT
    options = parser().parse_args(arguments)
    module, function = options.target.split(":")
    try:
        code = getattr(importlib.import_module(f"harness.verbs.{module}"), function)(options)
        sys.stdout.flush()
        return int(code or OK)
    except BadInput as error:
        print(f"babelscale: {error}", file=sys.stderr)
        return BAD_INPUT
    except Refused as error:
        print(f"babelscale: the cluster refused: {error}", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:  # `babelscale status | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"babelscale: {where}{error.strerror or error}; mend that, or choose another --root", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nbabelscale: interrupted; the same command goes on from here", file=sys.stderr)
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
