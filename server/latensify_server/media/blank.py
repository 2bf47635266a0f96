"""A clip that is nowhere on disk: the black frames over which a generated shot is laid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from latensify_bridge.errors import BadRequest
from latensify_server.media.image import Image
from latensify_server.media.write import DEPTHS

SIZE = "512x288"
LARGEST_PX = 16384
_FORMATS = {"half": oiio.HALF, "float": oiio.FLOAT, "uint8": oiio.UINT8, "uint16": oiio.UINT16}
_USUAL = {"exr": "half", "hdr": "float", "dpx": "uint16", "mov": "uint16"}


@dataclass(frozen=True)
class Blank:
    """Black RGB frames of one size, of a depth named as in DEPTHS."""

    numbers: Sequence[int]
    width: int
    height: int
    depth: str
    fps: float | None = None

    @property
    def name(self) -> str:
        return f"a generated shot of {self.width}x{self.height}, {self.numbers[0]}-{self.numbers[-1]}"

    def read(self, frame: int) -> Image:
        spec = oiio.ImageSpec(self.width, self.height, 3, _FORMATS[self.depth])
        return Image(self.name, np.zeros((self.height, self.width, 3), DEPTHS[self.depth]), spec)

    def files(self, frame: int) -> Path:
        return Path(self.name)


def blank(size: str, shot: Sequence[int], out: str, depth: str | None) -> Blank:
    """Frames for what is written to `out`. Raises BadRequest for a size that cannot be read, or no unbroken shot."""
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", size)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= width <= LARGEST_PX or not 1 <= height <= LARGEST_PX:
        raise BadRequest(f"'{size}' is not a size of 1 to {LARGEST_PX} pixels each way; write it as {SIZE}.")
    numbers = range(min(shot), max(shot) + 1)
    return Blank(numbers, width, height, depth or _USUAL.get(Path(out).suffix[1:].lower(), "uint8"))
