"""One core a test process, and one hypothesis profile: the suite shares its machine with whatever else runs there."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy and torch load
os.environ["WANDB_MODE"] = "disabled"  # a developer's key is not for tests; those of tracking say otherwise

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite", deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
