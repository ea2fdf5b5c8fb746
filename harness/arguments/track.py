"""Arguments of `track`."""

from __future__ import annotations

import argparse
from typing import Any

TRACK = """\
Runs are shown in Weights & Biases while they train, by a process beside the training, when a key is configured
(`wandb login`, or WANDB_API_KEY). WANDB_MODE=online, offline or disabled, or execution.track.mode, says otherwise;
execution.track.project and .entity say where. A W&B that is down, slow or refuses the key never stops or slows
training: `track sync` sends later what is missing. W&B's picture is for looking; figures and verdicts never read it.

  babelscale track sync [STUDY]        make W&B whole from the runs' files; twice changes nothing
  babelscale track dashboard STUDY     a report and a workspace with the panels of the study's findings
"""

SYNC = """\
Sends what W&B lacks of finished and unfinished runs, each into the same run as ever; with WANDB_MODE=offline writes
W&B's own files into the runs' folders instead. Of a study whose runs are all done it also sends the figures and the
table of records, as artefacts of a run of the study.
"""

DASHBOARD = """\
Makes a report and a saved workspace from the study, or brings those that are there up to date: metric against language
count, alpha, capacity and vocabulary by group of languages, runs grouped by the axes, progress. Without a network, or
with WANDB_MODE=offline, what would be sent is written to <root>/track/STUDY.dashboard.json.
"""


def add_track(verbs: Any, common: argparse.ArgumentParser) -> None:
    plain = argparse.RawDescriptionHelpFormatter
    entry = verbs.add_parser(
        "track", help="Weights & Biases: send what is missing; a dashboard", description=TRACK, formatter_class=plain
    )
    actions = entry.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, help: str, description: str) -> argparse.ArgumentParser:
        found: argparse.ArgumentParser = actions.add_parser(
            name, help=help, description=description, parents=[common], formatter_class=plain
        )
        found.set_defaults(target=f"track:{name}", profile=None)
        found.add_argument("--profile", help="which of the study's profiles (default: its first)")
        found.add_argument("--json", action="store_true", help="print JSON for scripts")
        return found

    sync = action("sync", "make W&B whole from the runs' files", SYNC)
    sync.add_argument("study", metavar="STUDY", nargs="?", help="default: all studies of the root")
    dashboard = action("dashboard", "a report and a workspace of the study", DASHBOARD)
    dashboard.add_argument("study", metavar="STUDY", help="name of a study that ships, or path of a YAML file")
    dashboard.add_argument(
        "--picture", metavar="FILE.png", help="also draw here what W&B will show, from the same records"
    )
