"""How long the command line takes for a shot, end to end: from starting the program to the last frame on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from latensify_bridge.errors import EngineFailed
from latensify_server.bench import subjects
from latensify_server.bench.figures import Figure
from latensify_server.bench.measures import Picture
from latensify_server.bench.setting import Setting
from latensify_server.training import worlds

WIDTH, HEIGHT, FRAMES = 512, 288, 24
CORES = 2
BOUND_S = 20.0


def restyle(setting: Setting) -> list[Figure]:
    """`latensify render restyle` on a drawn shot, on two cores without a GPU, nothing cached, from PNG to PNG."""
    seed = next(subjects.seeds(1, row=40))
    world = worlds.random_world(seed, things=2)
    with tempfile.TemporaryDirectory(prefix="latensify-bench-") as name:
        folder = Path(name)
        frames = (
            subjects.shown(world, WIDTH, HEIGHT, frame)
            for frame in setting.each("drawing a shot to time", list(range(FRAMES)))
        )
        _write(folder, frames)
        setting.tell("timing Restyle", 0, 1)
        seconds = _timed(folder, setting.folder)
        setting.tell("timing Restyle", 1, 1)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    note = (
        f"{WIDTH}x{HEIGHT}, {FRAMES} frames, {_cores()} CPU cores, end to end; the machine's load at the end was {load}"
    )
    return [Figure("restyle_512x288_24_frames_s", seconds, BOUND_S, False, "s", 1, note)]


def _write(folder: Path, frames: Iterable[Picture]) -> None:
    for number, frame in enumerate(frames):
        picture = np.rint(np.clip(frame, 0, 1) * 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"source.{number:04d}.png"), picture[..., ::-1])


def _timed(folder: Path, model: Path) -> float:
    """Seconds of the render. Raises EngineFailed with what it said."""
    command = [sys.executable, "-m", "latensify_server", "render", "restyle", "--preset", "night", "--no-cache"]
    command += ["--in", str(folder / "source.%04d.png"), "--out", str(folder / "out.%04d.png"), "--model", model.name]
    paths = os.pathsep.join([str(model.parent), os.environ.get("LATENSIFY_MODELS", "")]).strip(os.pathsep)
    own = {"LATENSIFY_MODELS": paths, "LATENSIFY_HOME": str(folder / "home"), "CUDA_VISIBLE_DEVICES": ""}
    begun = time.monotonic()
    done = subprocess.run(
        [*_pinned(), *command], env={**os.environ, **own}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    seconds = time.monotonic() - begun
    if done.returncode or len(list(folder.glob("out.*.png"))) != FRAMES:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise EngineFailed(f"The timed render failed: {said}")
    return seconds


def _cores() -> int:
    return min(CORES, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _pinned() -> list[str]:
    """What keeps a command to two of our cores, where the system can."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    chosen = sorted(os.sched_getaffinity(0))[:CORES]
    setter = f"import os, sys; os.sched_setaffinity(0, {chosen}); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", setter]
