"""Who a run is in W&B: its id for ever, and how it is found among the others (group, job type, tags, name, config).

An id is spelled from the study that first wanted the run, the run, and a generation. W&B keeps the id of a deleted run
from ever being used again, and a run folder that was wiped begins another life under the same run id; in both cases the
generation moves on by one. `track.json` in the run's folder holds it, beside a random `life` that also stands in the
run's config, so that a run on the server is known for this folder's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.launch.attempts import read_or_empty
from harness.store import SCHEMA, Store, digest, write_json
from harness.track.files import described

FILE = "track.json"
JOB_TYPE = "pretrain"
_LONGEST_ID = 120
"""Characters; W&B takes 128."""


@dataclass(frozen=True)
class Identity:
    """What `track.json` says."""

    folder: Path
    generation: int
    life: str
    place: str
    """Server and project that have had this generation; "" where none has."""

    @classmethod
    def of(cls, folder: Path) -> Identity:
        """Of a run's or another folder; a new life, written down, where there is none yet. Who holds the lease of
        feeding alone may ask, or two would give it two lives."""
        if known := cls.known(folder):
            return known
        fresh = cls(folder, 1, uuid.uuid4().hex[:16], "")
        fresh.keep()
        return fresh

    @classmethod
    def known(cls, folder: Path) -> Identity | None:
        """What the file says now; None where there is none, or none that is whole."""
        told = read_or_empty(folder / FILE)
        generation, life, place = (told.get(name) for name in ("generation", "life", "place"))
        if isinstance(generation, int) and isinstance(life, str) and isinstance(place, str):
            return cls(folder, generation, life, place)
        return None

    def keep(self, **more: Any) -> None:
        """Write it down, with what else the file holds."""
        old = {key: value for key, value in read_or_empty(self.folder / FILE).items() if key != "time"}
        mine = {"schema": SCHEMA, "generation": self.generation, "life": self.life, "place": self.place}
        write_json(self.folder / FILE, old | mine | more, durable=False)

    def next(self) -> Identity:
        """The next generation, written down."""
        later = Identity(self.folder, self.generation + 1, self.life, "")
        later.keep()
        return later

    def accepted(self, place: str) -> Identity:
        """The server has it now, written down."""
        if self.place == place:
            return self
        known = Identity(self.folder, self.generation, self.life, place)
        known.keep()
        return known


def wandb_id(study: str, run: str, generation: int) -> str:
    """At most 120 characters that W&B takes in an id; a digest of study and run keeps shortened ones apart."""
    end = f"-g{generation}"
    plain = f"{study}-{run}"
    if len(plain) + len(end) > _LONGEST_ID:
        short = digest([study, run])
        plain = f"{plain[: _LONGEST_ID - len(end) - len(short) - 1].rstrip('-')}-{short}"
    return plain + end


@dataclass(frozen=True)
class Card:
    """What W&B is told of a run when it is opened."""

    study: str
    run: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    config: dict[str, Any]
    notes: str = ""


def card_of(store: Store, run: str, studies: Iterable[Mapping[str, Any]]) -> Card:
    """`studies`: the frozen studies of the root, of which those that hold the run give it a tag each. Raises BadInput
    for a run.json that is not whole."""
    told = described(store, run)
    axes, science, origin = told["axes"], told["science"], told["origin"]
    holding = sorted(study["name"] for study in studies if run in study["runs"])
    languages = axes["languages"]
    plain = {name: value for name, value in axes.items() if name != "languages" and not isinstance(value, dict | list)}
    config = {
        "run": run,
        "study": origin["study"],
        "profile": origin["profile"],
        "corpus": origin["corpus"],
        "languages": ",".join(languages),
        **plain,
        "parameters": axes["body_parameters"] + axes["embedding_parameters"],
        "science": {key: value for key, value in science.items() if key not in ("languages", "tokenizer")},
        "tokenizer": {key: value for key, value in science.get("tokenizer", {}).items() if key != "languages"},
    }
    tags = (*(study_tag(name) for name in holding or [origin["study"]]), f"K={axes['K']}", str(axes["kind"]))
    return Card(
        study=origin["study"],
        run=run,
        name=run,
        group=origin["study"],
        job_type=JOB_TYPE,
        tags=tuple(tag[:64] for tag in tags),
        config=config,
    )


def study_tag(study: str) -> str:
    """By which the runs of a study are found, those too that another study wanted first; W&B takes 64 characters."""
    return f"study:{study}"[:64]
