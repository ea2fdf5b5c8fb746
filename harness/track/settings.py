"""Whether runs are shown in W&B, and where: a study's `execution.track`, and over it W&B's own variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.errors import BadInput
from sweeps.execution import TrackBlock

MODES = ("online", "offline", "disabled")
_OTHER_NAMES = {"run": "online", "dryrun": "offline"}
"""What W&B itself also takes in WANDB_MODE."""
OFF = "W&B: off, no key is configured (`wandb login` stores one; execution.track.mode: offline does without)"


@dataclass(frozen=True)
class Tracking:
    """Mode, project and entity (None: the key's own) that hold here and now."""

    mode: str
    project: str
    entity: str | None

    @property
    def on(self) -> bool:
        return self.mode != "disabled"


def tracking_of(execution: Mapping[str, Any]) -> Tracking:
    """What a run's execution says, and over it WANDB_MODE, WANDB_PROJECT and WANDB_ENTITY.

    Raises BadInput for a WANDB_MODE that is no mode.
    """
    block = TrackBlock.model_validate(execution.get("track", {}))
    mode = _asked_for(execution)
    if mode == "auto":
        mode = "online" if has_key() else "disabled"
    if mode not in MODES:
        raise BadInput(f"WANDB_MODE is {mode!r}: expected {', '.join(MODES)}; set one of them, or unset it")
    project = os.environ.get("WANDB_PROJECT") or block.project
    return Tracking(mode, project, os.environ.get("WANDB_ENTITY") or block.entity)


def surely_off(execution: Mapping[str, Any]) -> bool:
    """Whether `tracking_of` would say disabled, as far as that can be told without loading W&B."""
    mode = _asked_for(execution)
    return mode == "disabled" or (mode == "auto" and not _may_have_key())


def is_left_open(execution: Mapping[str, Any]) -> bool:
    """Whether nobody said online, offline or disabled."""
    return _asked_for(execution) == "auto"


def _asked_for(execution: Mapping[str, Any]) -> str:
    mode = os.environ.get("WANDB_MODE", "").strip().lower() or execution.get("track", {}).get("mode", "auto")
    return _OTHER_NAMES.get(mode, mode)


def _may_have_key() -> bool:
    named = os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE")
    return bool(named) or any(path.is_file() for path in _netrc_files())


def has_key() -> bool:
    """Whether W&B would find a key without asking: in the environment, or a line for its host in the netrc.

    May load W&B's settings, which then hold for this process: `harness.track.session.quieten` comes before.
    """
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    if not _may_have_key():
        return False
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib import wbauth

    try:
        # The host that WANDB_BASE_URL or `wandb login --host` names; a Settings() of our own knows neither.
        return wbauth.read_netrc_auth(host=wandb_setup.singleton().settings.base_url) is not None
    except Exception:  # a netrc that cannot be read holds no key
        return False


def _netrc_files() -> list[Path]:
    if named := os.environ.get("NETRC"):
        return [Path(named).expanduser()]
    return [Path.home() / ".netrc", Path.home() / "_netrc"]


def seconds_left(state: str) -> float:
    """How long the rest may take, by how the attempt ended: one that was asked to stop may be killed soon."""
    return 25.0 if state == "done" else 6.0
