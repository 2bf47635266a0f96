"""The plugin's bundle: found, copied to where hosts look, removed; and the command that starts the server."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

from latensify_bridge.errors import BadInput, OutputFailed
from latensify_bridge.folders import config_folder, private

NAME = "Latensify.ofx.bundle"
SYSTEM_FOLDER = Path("/usr/OFX/Plugins")
_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE / "plugin" / NAME, _PACKAGE.parent.parent / "build" / "plugin" / NAME)


def built() -> Path:
    """The bundle that came with the package, or that this checkout has built. Raises BadInput where there is none."""
    for place in _PLACES:
        if _is_bundle(place):
            return place
    raise BadInput(f"There is no {NAME}; build it with `make plugin` in a checkout, or name one with --bundle.")


def default_folder() -> Path:
    """/usr/OFX/Plugins when this user may write there, else ~/OFX/Plugins."""
    nearest = next(folder for folder in (SYSTEM_FOLDER, *SYSTEM_FOLDER.parents) if folder.exists())
    return SYSTEM_FOLDER if os.access(nearest, os.W_OK, effective_ids=True) else Path.home() / "OFX" / "Plugins"


def record() -> Path:
    """The file with the server's command, which a host's plugin reads."""
    return config_folder() / "server.json"


def installed() -> list[Path]:
    """The bundles that `install` put somewhere and that are still there."""
    return [place for text in _recorded().get("installed", []) if _is_bundle(place := Path(text))]


def install(bundle: Path, folder: Path) -> Path:
    """Copies a bundle into a folder, all of it or nothing, and records it and the server's command.

    Raises BadInput where it is no bundle, OutputFailed where the folder cannot be written.
    """
    if not _is_bundle(bundle):
        raise BadInput(f"{bundle} is not an OpenFX bundle; it needs Contents/*/Latensify.ofx inside.")
    target = folder.absolute() / NAME
    if target.exists() and target.resolve() == bundle.resolve():
        raise BadInput(f"{bundle} is installed there already; name another folder with --to.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(bundle, target)
    except OSError as error:
        raise OutputFailed(f"{target} cannot be written: {error.strerror or error}; name a folder with --to.") from None
    _write({"installed": sorted({*map(str, installed()), str(target)})})
    return target


def uninstall() -> list[Path]:
    """Removes the bundles that were installed, and the record. Raises OutputFailed where one cannot be removed."""
    removed = installed()
    for place in removed:
        try:
            shutil.rmtree(place)
        except OSError as error:
            raise OutputFailed(f"{place} cannot be removed: {error.strerror}.") from None
    record().unlink(missing_ok=True)
    return removed


def _is_bundle(place: Path) -> bool:
    return place.name == NAME and any(place.glob("Contents/*/Latensify.ofx"))


def _replace(bundle: Path, target: Path) -> None:
    """A host that looks meanwhile finds the old bundle or the new one; one that has it loaded keeps its files."""
    mark = secrets.token_hex(4)
    fresh, old = target.with_name(f".{mark}.new"), target.with_name(f".{mark}.old")
    try:
        shutil.copytree(bundle, fresh)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _recorded() -> dict[str, Any]:
    try:
        found = json.loads(record().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(values: dict[str, Any]) -> None:
    # -E: a host's PYTHONHOME and PYTHONPATH are for its own Python; -P: nothing is imported from where the host runs
    command = [sys.executable, "-E", "-P", "-m", "latensify_server", "serve", "--auto"]
    path = private(record().parent) / record().name
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(json.dumps({"command": command, **values}, indent=2) + "\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputFailed(f"{path} cannot be written: {error.strerror}.") from None
