"""Where Latensify keeps things on this machine. The same rule stands in cpp/folders.cpp.

LATENSIFY_HOME, when set, holds them all: config/, run/ and cache/ (for tests, portable installs and farms).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from latensify_bridge.errors import BadInput, OutputFailed


def _home(name: str) -> Path | None:
    home = os.environ.get("LATENSIFY_HOME")
    return Path(home) / name if home else None


def config_folder() -> Path:
    """server.json: the command that starts a server, recorded by `latensify plugin install`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return _home("config") or Path(base) / "latensify"


def cache_folder() -> Path:
    """Results, by content."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return _home("cache") or Path(base) / "latensify"


def runtime_folder() -> Path:
    """The server's socket, lock and log."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return _home("run") or (Path(base) / "latensify" if base else Path(f"/tmp/latensify-{os.getuid()}"))


def shared_folder() -> Path:
    """Segments in shared memory: LATENSIFY_SHM, else /dev/shm where there is one, else in the runtime folder."""
    given = os.environ.get("LATENSIFY_SHM")
    if given:
        return Path(given)
    return Path(f"/dev/shm/latensify-{os.getuid()}") if os.path.isdir("/dev/shm") else runtime_folder() / "shm"


def auto_endpoint() -> str:
    """The address of this user's own server on this machine."""
    return f"ipc://{runtime_folder()}/server.sock"


def private(folder: Path) -> Path:
    """The folder, made if need be, that only this user may enter.

    Raises OutputFailed when it cannot be made, BadInput when somebody else owns it or could enter.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputFailed(f"Cannot make the folder {folder}: {error.strerror}.") from None
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise BadInput(f"{folder} is not a folder of yours; remove it or set LATENSIFY_HOME and LATENSIFY_SHM.")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
