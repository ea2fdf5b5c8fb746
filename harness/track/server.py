"""What a W&B server has of our runs, asked through W&B's public client; and opening a run under the right id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.track.identity import Card, Identity, wandb_id
from harness.track.session import Late, Session, Unavailable, in_one_line
from harness.track.settings import Tracking

ANSWER_SECONDS = 10
"""How long the server may take to answer a question."""
_AT_ONCE = 200
"""Ids in one question."""
_MOST_GENERATIONS = 20


@dataclass(frozen=True)
class Seen:
    """One run as the server has it."""

    life: str
    state: str
    rows: int
    summary: dict[str, Any]
    tags: tuple[str, ...]


class Server:
    """The server that W&B's settings name, with the key that they hold."""

    def __init__(self, tracking: Tracking) -> None:
        """Raises Unavailable where it does not answer or refuses the key."""
        import wandb

        try:
            self._api = wandb.Api(timeout=ANSWER_SECONDS)
            entity = tracking.entity or self._api.default_entity
        except Exception as error:
            raise Unavailable(in_one_line(error)) from error
        if not entity:
            raise Unavailable("the key has no default entity: name one in execution.track.entity")
        self.tracking = replace(tracking, entity=entity)
        self.place = f"{self._api.settings['base_url']}/{entity}/{tracking.project}"

    def look(self, ids: Iterable[str]) -> dict[str, Seen | None]:
        """These runs as the server has them; None for one that it has not. Raises Unavailable."""
        wanted = list(ids)
        found: dict[str, Seen | None] = dict.fromkeys(wanted)
        for start in range(0, len(wanted), _AT_ONCE):
            filters = {"name": {"$in": wanted[start : start + _AT_ONCE]}}
            path = f"{self.tracking.entity}/{self.tracking.project}"
            try:
                for run in self._api.runs(path, filters=filters, lazy=False, per_page=_AT_ONCE):
                    found[run.id] = Seen(
                        str(run.config.get("life", "")),
                        str(run.state),
                        int(run.history_line_count or 0),
                        dict(run.summary_metrics or {}),
                        tuple(run.tags or ()),
                    )
            except ValueError as error:
                if "Could not find project" not in str(error):
                    raise Unavailable(in_one_line(error)) from error
            except Exception as error:
                raise Unavailable(in_one_line(error)) from error
        return found


def settle(
    server: Server,
    card: Card,
    identity: Identity,
    say: Callable[[str], None],
    seen: Mapping[str, Seen | None] | None = None,
) -> tuple[Identity, Seen | None]:
    """The generation under which this run is, or will be, on the server, and what the server has of it.

    A generation that was deleted there, or that another folder's run has, is passed by with one sentence.

    `seen`: answers of `look` from a while ago, before the lease of feeding was held: that a run is missing which was
    here, or is of another life, is asked again, for a feeder may have opened it since.
    """
    while True:
        name = wandb_id(card.study, card.run, identity.generation)
        known = seen is not None and name in seen
        there = seen[name] if seen is not None and known else None
        if not known or (identity.place == server.place if there is None else there.life != identity.life):
            there = server.look([name])[name]
        if there is None and identity.place != server.place:
            return identity, None
        if there is not None and there.life == identity.life:
            return identity.accepted(server.place), there
        why = "was deleted on the server" if there is None else "is there from before this run's folder was made"
        identity = _next(identity, name, why, say)


def _next(identity: Identity, name: str, why: str, say: Callable[[str], None]) -> Identity:
    if identity.generation >= _MOST_GENERATIONS:
        raise Unavailable(f"{name} {why}, and {_MOST_GENERATIONS} generations are enough: name another project")
    later = identity.next()
    say(f"W&B: {name} {why}: the run goes on there as generation {later.generation}")
    return later


def open_online(
    server: Server,
    card: Card,
    identity: Identity,
    folder: Path,
    say: Callable[[str], None],
    *,
    finish_seconds: float,
) -> Session:
    """Open the run on the server, as the generation that it takes: `identity` is of `settle`. Raises Unavailable."""
    while True:
        name = wandb_id(card.study, card.run, identity.generation)
        try:
            session = Session.begin(card, name, identity.life, server.tracking, folder, finish_seconds=finish_seconds)
        except Late:
            if server.look([name])[name]:  # it is there by now: the server is slow
                raise
            identity, _ = settle(server, card, _next(identity, name, "was deleted on the server", say), say)
            continue
        identity.accepted(server.place)
        return session
