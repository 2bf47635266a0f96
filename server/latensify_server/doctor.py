"""What is installed on this machine, what is missing, and the command that gets it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latensify_bridge import __version__
from latensify_bridge.client import recorded_command
from latensify_bridge.errors import LatensifyError
from latensify_bridge.folders import cache_folder, shared_folder
from latensify_server import models, plugin_install
from latensify_server.fits import Fits, fits_folder

MIB = 2**20
SHARED_LEAST_MIB = 256
_SERVER = "pip install 'latensify[server]'"
PACKAGES = {
    "torch": "torch",
    "diffusers": "diffusers",
    "transformers": "transformers",
    "OpenImageIO": "OpenImageIO",
    "opencolorio": "PyOpenColorIO",
    "av": "av",
    "opencv-python-headless": "cv2",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `remedy` is the command or sentence that mends it; `needed`: rendering needs it."""

    name: str
    good: bool
    found: str
    needed: bool = True
    remedy: str = ""


def examine() -> list[Finding]:
    """Everything, in the order shown. Loads torch to ask for its devices."""
    checks: list[Callable[[], Finding]] = [_python, *(_package(name) for name in PACKAGES)]
    checks += [
        _device,
        _models,
        _plugin_built,
        _plugin_installed,
        _server_command,
        _server,
        _shared_memory,
        _cache,
        _fits,
    ]
    return [check() for check in checks]


def healthy(findings: list[Finding]) -> bool:
    """Whether `latensify render` can work."""
    return all(finding.good for finding in findings if finding.needed)


def report(findings: list[Finding]) -> dict[str, Any]:
    """The findings as plain data, for JSON."""
    return {"version": __version__, "healthy": healthy(findings), "findings": [asdict(each) for each in findings]}


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    found = f"{platform.python_version()} on {platform.platform()}, {sys.executable}"
    return Finding("python", good, found, remedy="install Python 3.11 or newer")


def _package(name: str) -> Callable[[], Finding]:
    def check() -> Finding:
        try:
            importlib.import_module(PACKAGES[name])
            return Finding(name, True, _version(name))
        except Exception as error:  # a broken build raises what it likes
            return Finding(name, False, f"cannot be imported ({error})", remedy=_SERVER)

    return check


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "installed"


def _device() -> Finding:
    try:
        import torch

        if torch.cuda.is_available():
            memory_gib = torch.cuda.get_device_properties(0).total_memory / 2**30
            return Finding("device", True, f"{torch.cuda.get_device_name(0)}, {memory_gib:.0f} GiB", needed=False)
        return Finding("device", True, f"CPU, {torch.get_num_threads()} threads; no GPU is seen", needed=False)
    except Exception as error:
        return Finding("device", False, f"unknown ({error})", needed=False, remedy=_SERVER)


def _models() -> Finding:
    found = [_model(name, models.find(name)) for name in models.installed()]
    remedy = "latensify train tiny --out FOLDER, then set LATENSIFY_MODELS to the folder that holds the model's folder"
    return Finding("models", bool(found), "; ".join(found) or "none", remedy=remedy)


def _model(name: str, folder: Path) -> str:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{name} {models.folder_hash(folder)[:12]} {size / MIB:.1f} MiB in {folder}"


def _plugin_built() -> Finding:
    try:
        return Finding("plugin", True, str(plugin_install.built()), needed=False)
    except LatensifyError as error:
        return Finding("plugin", False, str(error), needed=False, remedy="make plugin")


def _plugin_installed() -> Finding:
    places = plugin_install.installed()
    found = ", ".join(map(str, places)) or "nowhere"
    return Finding("plugin installed", bool(places), found, needed=False, remedy="latensify plugin install")


def _server_command() -> Finding:
    try:
        return Finding("server command", True, " ".join(recorded_command()), needed=False)
    except LatensifyError:
        return Finding("server command", False, "not recorded", needed=False, remedy="latensify plugin install")


def _server() -> Finding:
    from latensify_bridge.client import connect

    try:
        with connect("auto", start=False) as session:
            welcome = session.welcome
            return Finding("server", True, f"{welcome.server} runs on {welcome.device}", needed=False)
    except LatensifyError as error:
        return Finding("server", True, f"does not run ({error})", needed=False)


def _shared_memory() -> Finding:
    folder = next(each for each in (shared_folder(), *shared_folder().parents) if each.exists())
    free_mib = shutil.disk_usage(folder).free / MIB
    remedy = "give /dev/shm more room (docker run --shm-size=4g), or set LATENSIFY_SHM to a folder"
    found = f"{free_mib:.0f} MiB free in {shared_folder()}"
    return Finding("shared memory", free_mib >= SHARED_LEAST_MIB, found, needed=False, remedy=remedy)


def _cache() -> Finding:
    folder = cache_folder()
    used = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a server may be clearing up
            used += file.stat().st_size if file.is_file() else 0
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    free_gib = shutil.disk_usage(nearest).free / 2**30
    return Finding("cache", True, f"{used / MIB:.0f} MiB in {folder}, {free_gib:.1f} GiB free", needed=False)


def _fits() -> Finding:
    fits = Fits(fits_folder())
    count, size = fits.usage()
    made = len(fits.all())
    begun = f" and {count - made} begun" if count > made else ""
    found = f"{made} made{begun}, {size / MIB:.0f} MiB in {fits.folder}"
    return Finding("fits", True, found, needed=False)
