"""The benchmarks, by name; and those of a user, by the path of a file.

A user's file defines a class of `harness.evaluate.task` and names an instance of it `TASK`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from harness.evaluate.task import Task
from harness.evaluate.tasks.glue import Mnli, MnliMismatched, Mrpc, Qnli, Qqp, Sst, Stsb
from harness.evaluate.tasks.ner import Conll, Masakhaner, WikiAnn
from harness.evaluate.tasks.questions import Mlqa, Xquad
from harness.evaluate.tasks.sib200 import Sib200
from harness.evaluate.tasks.speech import Treebanks, XtremeSpeech
from harness.evaluate.tasks.tatoeba import Tatoeba
from harness.evaluate.tasks.xnli import Xnli
from sweeps.errors import BadInput

_EVERY: tuple[Task, ...] = (
    *(Xnli(), Sib200(), Conll(), WikiAnn(), Masakhaner(), Treebanks(), XtremeSpeech(), Xquad(), Mlqa(), Tatoeba()),
    *(Mnli(), MnliMismatched(), Qnli(), Qqp(), Sst(), Mrpc(), Stsb()),
)
BY_NAME: dict[str, Task] = {task.name: task for task in _EVERY}


def task_named(name: str) -> Task:
    """A benchmark by its name, or the `TASK` of a Python file. Raises BadInput."""
    if name in BY_NAME:
        return BY_NAME[name]
    path = Path(name)
    if path.suffix == ".py" and not path.is_file():
        raise BadInput(f"there is no file {path}: a task of your own is named by its path")
    if path.suffix != ".py":
        raise BadInput(f"no task is called {name!r}: there are {', '.join(BY_NAME)}, or name a Python file of your own")
    spec = importlib.util.spec_from_file_location(f"babelscale_task_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task):
        raise BadInput(f"{path} names no TASK: end it with TASK = YourTask(), a class of harness.evaluate.task")
    return task
