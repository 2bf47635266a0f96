"""Which installed model serves a request. Imports nothing heavy: the service asks before any model is loaded."""

from __future__ import annotations

import functools
from pathlib import Path

from latensify_bridge.errors import ModelMissing
from latensify_server import models
from latensify_server.engine import ModelChoice


def choose(effect: str, model: str) -> ModelChoice:
    """The model named, or for `auto` the first installed. Raises ModelMissing, naming what is installed."""
    installed = models.installed()
    name = model if model != "auto" else next(iter(installed), "")
    if name not in installed:
        known = ", ".join(installed) or "none"
        raise ModelMissing(f"No model named '{name or model}' is installed for {effect}; installed: {known}.")
    folder = models.find(name)
    return ModelChoice(name, _hash(folder, max(path.stat().st_mtime_ns for path in folder.rglob("*"))))


@functools.lru_cache(maxsize=16)
def _hash(folder: Path, changed_ns: int) -> str:
    return models.folder_hash(folder)
