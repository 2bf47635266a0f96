"""What the server asks of whatever edits frames, and a fake that tests can read.

The diffusion engine (diffusion/engine.py) is the real one. An engine lives in the worker process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from latensify_bridge.effects import Edit
from latensify_bridge.frames import Box, Depth, Edited, Pixels
from latensify_bridge.framing import Margins, margins_of
from latensify_bridge.protocol import DeviceMemory
from latensify_server.memory import machine_memory

REVISION = 3
"""Part of every result's name. Raise it whenever the same request would give other pixels than before."""

ProgressCall = Callable[[float, str], None]
"""Told (fraction 0..1, stage) between steps; raises Cancelled when the work is no longer wanted."""


@dataclass(frozen=True)
class Plate:
    """A source frame: absolute number, straight RGBA [height, width, 4] in `colour_space`, matte [height, width]."""

    number: int
    pixels: Pixels
    mask: Pixels | None


@dataclass(frozen=True)
class WindowEdit:
    """Edit all plates of one window. Sizes in `params` are full-resolution pixels: multiply by `render_scale`.

    `fit` is the folder of the model fitted to the shot: there when the edit asks for it and it was made.
    """

    effect: str
    params: Edit
    plates: tuple[Plate, ...]
    depth: Depth
    render_scale: float
    pixel_aspect: float
    fit: Path | None = None


@dataclass(frozen=True)
class ShotFit:
    """Fit a model to `plates` (read anew at each access) into the folder `out`, which may hold a part of it."""

    effect: str
    params: Edit
    plates: Sequence[Plate]
    render_scale: float
    out: Path


@dataclass(frozen=True)
class FitChoice:
    """The fitted model that will serve a window, by name and by the hash of its files."""

    key: str
    hash: str


@dataclass(frozen=True)
class ModelChoice:
    """The model that will serve a request, by name and by the hash of its files."""

    name: str
    hash: str


class Engine(Protocol):
    """Edits windows."""

    def device(self) -> str:
        """The device in words, for people."""
        ...

    def memory(self) -> DeviceMemory:
        """The device's memory now. Quick: asked about once a second, between steps."""
        ...

    def edit(self, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
        """One edited box and matte for each plate, in their order.

        Raises BadInput, ModelMissing, OutOfMemory, EngineFailed, or whatever `progress` raises.
        """
        ...

    def fit(self, work: ShotFit, progress: ProgressCall) -> None:
        """Fits a model to a shot; when `progress` raises, what is done is kept in `work.out` for the next call."""
        ...


FAKE_MODEL = "fake.json"


class FakeEngine:
    """Inverts the plate inside its matte, in `steps` steps of `step_s` seconds. For tests of what is around it.

    Its fit is the mean of the first plate and the steps that it took; an edit with a fit shows that mean.
    """

    def __init__(self, steps: int = 4, step_s: float = 0.0) -> None:
        self._steps = steps
        self._step_s = step_s

    def device(self) -> str:
        return "fake"

    def memory(self) -> DeviceMemory:
        return machine_memory()

    def edit(self, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
        for step in range(self._steps):
            progress(step / self._steps, f"step {step + 1} of {self._steps}")
            time.sleep(self._step_s)
        if work.fit is not None:
            mean = json.loads((work.fit / FAKE_MODEL).read_text())["mean"]
            return [_filled(plate, mean, work.depth) for plate in work.plates]
        margins = margins_of(work.params, work.render_scale)
        plates = work.plates if margins == Margins() else [_padded(plate, margins) for plate in work.plates]
        return [_inverted(plate, work.depth) for plate in plates]

    def fit(self, work: ShotFit, progress: ProgressCall) -> None:
        done = work.out / "checkpoint"
        step = int(done.read_text()) if done.exists() else 0
        try:
            while step < self._steps:
                progress(step / self._steps, f"fitting, step {step + 1} of {self._steps}")
                time.sleep(self._step_s)
                step += 1
        except BaseException:
            done.write_text(str(step))
            raise
        mean = float(np.mean(work.plates[0].pixels[..., :3], dtype=np.float64))
        (work.out / FAKE_MODEL).write_text(json.dumps({"mean": mean, "seed": work.params.seed}))
        done.unlink(missing_ok=True)


def _padded(plate: Plate, margins: Margins) -> Plate:
    around = ((margins.top, margins.bottom), (margins.left, margins.right))
    mask = np.pad(np.zeros(plate.pixels.shape[:2], np.float32), around, constant_values=1)
    return Plate(plate.number, np.pad(plate.pixels, (*around, (0, 0))), mask)


def _inverted(plate: Plate, depth: Depth) -> Edited:
    height, width = plate.pixels.shape[:2]
    rgb = (1 - plate.pixels[..., :3].astype(np.float32)).astype(depth.dtype)
    mask = np.ones((height, width), depth.dtype) if plate.mask is None else plate.mask.astype(depth.dtype)
    return Edited(Box(0, 0, width, height), rgb, mask)


def _filled(plate: Plate, value: float, depth: Depth) -> Edited:
    flat = _inverted(plate, depth)
    return Edited(flat.box, np.full_like(flat.rgb, value), flat.matte)
