"""The rows of `latensify bench models`, and the report that they make up."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from latensify_bridge.errors import BadRequest
from latensify_server import models
from latensify_server.bench import edits, fidelity, flicker, obedience, shot, speed
from latensify_server.bench.figures import Figure
from latensify_server.bench.setting import Setting


@dataclass(frozen=True)
class Row:
    """A row of the table: its name for --only, and what measures its figures."""

    name: str
    measure: Callable[[Setting], list[Figure]]
    help: str


ROWS = (
    Row("vae", fidelity.reconstruction, "reconstruction of worlds and photographs"),
    Row("prompt", obedience.prompts, "generated frames obey the prompt"),
    Row("masked", edits.masked, "recolour, replace and remove with a mask"),
    Row("instruct", edits.instructed, "instructions with no mask"),
    Row("whole", edits.whole_frames, "day to night, clear to snow, and back"),
    Row("flicker", flicker.flicker, "warp error of edited shots over the truth's"),
    Row("inversion", fidelity.inversion, "DDIM inversion and back"),
    Row("speed", speed.restyle, "seconds of a 24-frame Restyle"),
    Row("shot", shot.removal, "Remove over made clips"),
    Row("shot-speed", shot.speed, "seconds of an 80-frame Remove"),
)


def chosen(only: Sequence[str]) -> list[Row]:
    """The rows named, or all. Raises BadRequest, naming the rows there are."""
    known = {row.name: row for row in ROWS}
    strange = [name for name in only if name not in known]
    if strange:
        raise BadRequest(f"There is no row '{strange[0]}' to measure; choose among {', '.join(known)}.")
    return [row for row in ROWS if not only or row.name in only]


def measured(setting: Setting, rows: Iterable[Row]) -> list[Figure]:
    """The figures of rows, in their order."""
    return [figure for row in rows for figure in row.measure(setting)]


def report(figures: Sequence[Figure], folder: Path, command: str) -> dict[str, object]:
    """What --json prints: the figures, and what they were measured on, with which command, when."""
    return {
        "figures": [figure.to_json() for figure in figures],
        "model": folder.name,
        "model_hash": models.folder_hash(folder),
        "machine": machine(),
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def machine() -> str:
    """The processor, the cores that we may use, the GPU, and the versions that decide speed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{_processor()}, {cores} cores{gpu}, {platform.system()}, {versions}"


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()
