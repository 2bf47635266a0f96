"""What the server asks of whatever edits frames, and a fake that tests can read.

The diffusion engine (diffusion/engine.py) is the real one. An engine lives in the worker process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from latensify_bridge.effects import Edit
from latensify_bridge.frames import Box, Depth, Edited, Pixels

REVISION = 1
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
    """Edit all plates of one window. Sizes in `params` are full-resolution pixels: multiply by `render_scale`."""

    effect: str
    params: Edit
    plates: tuple[Plate, ...]
    depth: Depth
    render_scale: float
    pixel_aspect: float


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

    def edit(self, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
        """One edited box and matte for each plate, in their order.

        Raises BadInput, ModelMissing, OutOfMemory, EngineFailed, or whatever `progress` raises.
        """
        ...


class FakeEngine:
    """Inverts the plate inside its matte, in `steps` steps of `step_s` seconds. For tests of what is around it."""

    def __init__(self, steps: int = 4, step_s: float = 0.0) -> None:
        self._steps = steps
        self._step_s = step_s

    def device(self) -> str:
        return "fake"

    def edit(self, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
        for step in range(self._steps):
            progress(step / self._steps, f"step {step + 1} of {self._steps}")
            time.sleep(self._step_s)
        return [_inverted(plate, work.depth) for plate in work.plates]


def _inverted(plate: Plate, depth: Depth) -> Edited:
    height, width = plate.pixels.shape[:2]
    rgb = (1 - plate.pixels[..., :3].astype(np.float32)).astype(depth.dtype)
    mask = np.ones((height, width), depth.dtype) if plate.mask is None else plate.mask.astype(depth.dtype)
    return Edited(Box(0, 0, width, height), rgb, mask)
