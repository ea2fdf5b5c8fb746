"""why, retry, cancel: what went wrong, once more with other means, and the end of it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape

from harness.launch import queue
from harness.launch.attempts import doomed, forgive, newest_step
from harness.launch.causes import DETERMINISTIC
from harness.launch.freeze import change_execution, execution_of_run, frozen_study
from harness.launch.looking import Look, Lookout
from harness.launch.observe import Observed
from harness.launch.slurm import client
from harness.launch.slurm.site import check, probe
from harness.launch.slurm.submissions import submissions
from harness.launch.why import Failure, Group, failures_of
from harness.store import Store, digest
from harness.verbs.look import study_name, those_where
from harness.verbs.setting import values_of, with_values
from harness.verbs.show import console
from sweeps.errors import BadInput

_STOP_SECONDS = 300.0


def why(options: Namespace) -> int:
    store = Store(options.root, create=False)
    name = study_name(store, options)
    seen = Lookout(store, name).look()
    study = frozen_study(store, name)
    groups = failures_of(store, study, those_where(seen.rows, options.where))
    count = sum(len(group.failures) for group in groups)
    if options.json:
        told = [group.as_json(name, study["command"]) for group in groups]
        print(json.dumps({"study": name, "runs": count, "groups": told, "notes": seen.notes}, indent=1))
        return 0
    if not groups:
        console.print(f"{name}: nothing failed; babelscale status {name}", highlight=False)
        return 0
    console.print(f"{name}: {len(groups)} {_plural('kind', groups)} of failure, {count} runs", highlight=False)
    for group in groups:
        _show(group, name, study["command"])
    return 0


def _plural(word: str, of: Sequence[Any]) -> str:
    return word if len(of) == 1 else f"{word}s"


def _show(group: Group, study: str, submit: str) -> None:
    told = group.as_json(study, submit)
    first = group.failures[0]
    runs = [one.run for one in group.failures]
    say = console.print
    say(f"\n[bold]{group.cause}[/bold]: {told['meaning']}; {len(runs)} {_plural('run', runs)}", highlight=False)
    say("  " + escape(group.error), highlight=False, soft_wrap=True)
    where = f"rank {first.rank}" + (f" on {first.host}" if first.host else "")
    if first.attempt:
        say(f"  first: {first.run}, attempt {first.attempt}, {where}", highlight=False, soft_wrap=True)
    for line in group.lines:
        say("  | " + escape(line), highlight=False, soft_wrap=True, style="dim")
    if len(told["hosts"]) > 1:
        say(f"  machines: {', '.join(told['hosts'])}", highlight=False, soft_wrap=True)
    if len(runs) > 1:
        more = f" and {len(runs) - 6} more" if len(runs) > 6 else ""
        say(f"  runs: {', '.join(runs[:6])}{more}", highlight=False, soft_wrap=True)
    say("  -> " + escape(told["todo"]), highlight=False, soft_wrap=True)


def retry(options: Namespace) -> int:
    store = Store(options.root)
    name = study_name(store, options)
    values = values_of(options.set or [])
    seen = Lookout(store, name).look()
    groups = failures_of(store, frozen_study(store, name), those_where(seen.rows, options.where))
    wanted = [one for group in groups for one in group.failures if not options.cause or one.cause in options.cause]
    if not wanted:
        of = f" of cause {', '.join(options.cause)}" if options.cause else ""
        raise BadInput(f"{name}: no run has failed{of}; babelscale why {name} lists what there is")
    study = frozen_study(store, name)
    changed = {one.run: _with(study, one.run, values) for one in wanted}
    chosen, refused = _worth_it(store, study, wanted, changed, anyway=options.anyway)
    for failure in refused:
        say = f"{failure.run}: {failure.cause}: {failure.error}: the same again would fail the same way"
        print(f"babelscale: {say}; change something with --set, or take --anyway once it is mended", file=sys.stderr)
    if not chosen:
        return 2
    _may_start(store, study, {run: execution_of_run(study, run) | changed[run] for run in chosen})
    if values:
        study = change_execution(store, name, {run: changed[run] for run in chosen})
    for run in chosen:
        forgive(store.run(run), f"retry {options.cause or ''} {values or ''}".strip())
    jobs = _start(store, study, chosen, options)
    if options.json:
        print(json.dumps({"study": name, "retried": chosen, "refused": [one.run for one in refused], "jobs": jobs}))
    else:
        console.print(f"{name}: {len(chosen)} runs go again; babelscale watch {name}", highlight=False)
    return 1 if refused else 0


def _with(study: Mapping[str, Any], run: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as a run's execution holds them, checked. Raises BadInput."""
    held = with_values(execution_of_run(study, run), values)
    return {key: held[key] for key in values}


def _worth_it(
    store: Store,
    study: Mapping[str, Any],
    wanted: Sequence[Failure],
    changed: Mapping[str, Mapping[str, Any]],
    *,
    anyway: bool,
) -> tuple[list[str], list[Failure]]:
    """Runs to take again, and failures that would only come again."""
    chosen, refused = [], []
    for failure in wanted:
        would = execution_of_run(study, failure.run) | dict(changed[failure.run])
        if not anyway and failure.cause in DETERMINISTIC and doomed(store.run(failure.run), would):
            refused.append(failure)
        else:
            chosen.append(failure.run)
    return chosen, refused


def _may_start(store: Store, study: Mapping[str, Any], executions: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises BadInput, before anything is changed, when these executions cannot be started."""
    if study.get("cluster") == "slurm":
        client.require()
        site = probe()
        for execution in {digest(own): own for own in executions.values()}.values():
            check(site, execution, f"study {study['name']}: execution")
    elif queue.queue_state(store, study["name"])["alive"]:
        name = study["name"]
        raise BadInput(f"the runs of {name} are still going here: babelscale watch {name}, then retry")


def _start(store: Store, study: Mapping[str, Any], runs: Sequence[str], options: Namespace) -> list[str]:
    if study.get("cluster") == "slurm":
        from harness.verbs.slurm import send

        _, sent = send(store, study, runs, None, options.json)
        return [one.job for one in sent]
    queue.start(store, study["name"], study["execution"]["slots"], list(runs))
    return []


def cancel(options: Namespace) -> int:
    store = Store(options.root, create=False)
    name = study_name(store, options)
    seen = Lookout(store, name).look()
    rows = [row for row in those_where(seen.rows, options.where) if row.state in ("running", "queued", "unknown")]
    local = seen.state["cluster"] == "local" and seen.state["alive"]
    if not rows and not local:
        console.print(f"{name}: nothing is in flight", highlight=False)
        return 0
    if local and options.where:
        raise BadInput("--where is for jobs of Slurm: on this machine the queue and its runs end together")
    others = _carried_along(seen, {row.run for row in rows})
    for row in rows:
        _show_loss(store, row)
    if others:
        print(f"their jobs carry these too: {', '.join(sorted(others))}")
    if not options.yes and not _agreed(len(rows) + len(others)):
        return 1
    if local:
        if not queue.stop(store, name, wait_seconds=_STOP_SECONDS):
            raise BadInput(f"the queue of {name} did not end within {_STOP_SECONDS:.0f} s; babelscale watch {name}")
    else:
        _cancel_jobs(store, seen, rows)
    command = frozen_study(store, name)["command"]
    console.print(f"{name}: cancelled; {command} goes on from the last checkpoints", highlight=False)
    return 0


def _carried_along(seen: Look, runs: set[str]) -> set[str]:
    """Runs that share a job with one of these."""
    jobs = {seen.jobs[run].id for run in runs if run in seen.jobs}
    return {run for run, job in seen.jobs.items() if job.id in jobs} - runs


def _show_loss(store: Store, row: Observed) -> None:
    kept = newest_step(store.run(row.run))
    if kept > row.steps:
        said = "training is done, only scores are missing"
    elif row.state != "running":
        said = f"{row.state}; nothing is lost" + (f", {kept} of {row.steps} steps are kept" if kept else "")
    else:
        said = f"step {row.step} of {row.steps}; it saves on its way out, else it goes back to step {kept}"
    print(f"{row.run}: {said}")


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise BadInput("cancel asks before it acts, and there is nobody to ask: add --yes")
    return input(f"cancel {count} runs? [y/N] ").strip().lower() in ("y", "yes")


def _cancel_jobs(store: Store, seen: Look, rows: Sequence[Observed]) -> None:
    runs = {row.run for row in rows}
    known = [one for one in submissions(store) if not runs.isdisjoint(one.runs)]
    jobs = client.jobs_named(one.name for one in known)
    by_name = {one.name: one for one in known}
    doomed_jobs = []
    for job in jobs:
        one = by_name[job.name]
        task = set(one.tasks[job.index]) if job.index < len(one.tasks) else set[str]()
        # A preparation goes only when none of those that wait for it is left; a job of runs with any of its runs.
        if task <= runs if one.kind == "prepare" else task & runs:
            doomed_jobs.append(job.id)
    client.cancel(doomed_jobs)
