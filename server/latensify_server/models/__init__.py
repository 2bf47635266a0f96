"""Where models lie on disk, and what names them. Imports nothing heavy: a host's status line asks it too."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

INDEX = "model_index.json"


def _folders() -> list[Path]:
    """The places looked in, nearest first: LATENSIFY_MODELS (a search path), then the models shipped in the package."""
    given = [Path(part) for part in os.environ.get("LATENSIFY_MODELS", "").split(os.pathsep) if part]
    return [*given, Path(__file__).parent]


def installed() -> list[str]:
    """Names of the models that can be loaded, sorted: folders that hold a `model_index.json`."""
    names = {
        entry.name
        for folder in _folders()
        if folder.is_dir()
        for entry in folder.iterdir()
        if (entry / INDEX).is_file()
    }
    return sorted(names)


def find(name: str) -> Path:
    """The folder of the model `name`.

    Raises:
        FileNotFoundError: no such model is installed, or the name is a path and not a name.
    """
    if name in installed():
        return next(folder / name for folder in _folders() if (folder / name / INDEX).is_file())
    known = ", ".join(installed()) or "none"
    raise FileNotFoundError(
        f"No model named {name!r} is installed (installed: {known}); "
        "put its folder under one of LATENSIFY_MODELS or choose an installed one."
    )


def folder_hash(folder: Path) -> str:
    """SHA-256 in hex over the relative names and contents of the files under `folder`: what identifies a model."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if "__pycache__" in file.parts:
            continue
        total.update(file.relative_to(folder).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
