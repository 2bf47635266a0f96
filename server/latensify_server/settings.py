"""What a server is told when it starts."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from latensify_bridge.folders import auto_endpoint, cache_folder, private, shared_folder
from latensify_bridge.protocol import LONGEST_PART
from latensify_server.fits import fits_folder

MIB = 2**20


SMALL_BYTES = 2 * 1024 * MIB


def _frames_folder() -> Path:
    """Shared memory, or the disk where that is small, as in most containers."""
    shared = private(shared_folder())
    return shared if shutil.disk_usage(shared).free >= SMALL_BYTES else cache_folder() / "frames"


def _frames_limit() -> int:
    """A quarter of the memory, but no more than half of what is free where the frames are held."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(memory // 4, shutil.disk_usage(private(_frames_folder())).free // 2)


@dataclass(frozen=True)
class Settings:
    """`frames_bytes` of sent frames are held in `frames`, `cache_bytes` of results in `cache`.

    Models fitted to shots lie in `fits`. `idle_exit_s` 0: never. `engine` is a name in engines.ENGINES. `log_format` is
    one of logs.FORMATS, for the worker, where the process logs.
    """

    endpoint: str = field(default_factory=auto_endpoint)
    engine: str = "diffusion"
    cache: Path = field(default_factory=lambda: cache_folder() / "results")
    cache_bytes: int = 20 * 1024 * MIB
    fits: Path = field(default_factory=fits_folder)
    frames: Path = field(default_factory=_frames_folder)
    frames_bytes: int = field(default_factory=_frames_limit)
    client_frames_bytes: int | None = None  # of one client; None: as of all
    max_frame_bytes: int = 1024 * MIB
    max_part_bytes: int = LONGEST_PART
    max_jobs: int = 10_000
    max_client_jobs: int = 1000
    idle_exit_s: float = 0.0
    log_format: str = ""
