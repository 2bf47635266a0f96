"""A frame as it is stored: every channel at its own depth, with what the file says about them. Read by OpenImageIO."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import xxhash
from numpy.typing import NDArray

from latensify_bridge.errors import BadInput

LEVELS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
_DTYPES = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}
Stored = NDArray[Any]


@dataclass(frozen=True)
class Rectangle:
    """Pixels x0..x0+width-1 of row y0 and on, in the coordinates of a file's display window."""

    x0: int
    y0: int
    width: int
    height: int

    def around(self, other: Rectangle) -> Rectangle:
        """The smallest rectangle that holds both."""
        x0, y0 = min(self.x0, other.x0), min(self.y0, other.y0)
        x1 = max(self.x0 + self.width, other.x0 + other.width)
        y1 = max(self.y0 + self.height, other.y0 + other.height)
        return Rectangle(x0, y0, x1 - x0, y1 - y0)


@dataclass(frozen=True)
class Part:
    """Another part of a multi-part file, carried along unread."""

    spec: oiio.ImageSpec
    pixels: Stored


@dataclass(frozen=True)
class Image:
    """`pixels` [height, width, channels] of the data window as uint8, uint16, half or float; `name` for sentences."""

    name: str
    pixels: Stored
    spec: oiio.ImageSpec
    parts: tuple[Part, ...] = ()

    @property
    def data(self) -> Rectangle:
        return Rectangle(self.spec.x, self.spec.y, self.spec.width, self.spec.height)

    @property
    def display(self) -> Rectangle:
        spec = self.spec
        return Rectangle(spec.full_x, spec.full_y, spec.full_width, spec.full_height)

    @property
    def colours(self) -> tuple[int, ...]:
        """Indices of red, green and blue; of the one channel of a grey image."""
        names = [name.upper() for name in self.spec.channelnames]
        if {"R", "G", "B"} <= set(names):
            return tuple(names.index(name) for name in "RGB")
        plain = [index for index in range(len(names)) if index != self.alpha]
        return tuple(plain[:3]) if len(plain) >= 3 else tuple(plain[:1])

    @property
    def alpha(self) -> int | None:
        return int(self.spec.alpha_channel) if self.spec.alpha_channel >= 0 else None

    @property
    def premultiplied(self) -> bool:
        return self.alpha is not None and not self.spec.get_int_attribute("oiio:UnassociatedAlpha")

    @property
    def pixel_aspect(self) -> float:
        aspect = float(self.spec.get_float_attribute("PixelAspectRatio", 1.0))
        return aspect if 0.01 < aspect <= 100 else 1.0

    def digest(self) -> str:
        """Names the stored pixels by their content."""
        return xxhash.xxh3_128(np.ascontiguousarray(self.pixels).data).hexdigest()


def as_float(values: Stored) -> NDArray[np.float32]:
    """Stored values as float: integers become 0..1, floats stay."""
    levels = LEVELS.get(values.dtype)
    return values.astype(np.float32) / np.float32(levels) if levels else values.astype(np.float32)


def read_image(path: Path) -> Image:
    """Reads the first part of an image file at its own depth, and carries the others.

    Raises BadInput, naming the file, where it is missing, damaged, deep, or of a type that cannot be kept exactly.
    """
    if not path.is_file():
        raise BadInput(f"{path} is missing; render it, or leave its frame out of --frames.")
    keep_straight = oiio.ImageSpec()
    keep_straight.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), keep_straight)
    if file is None:
        raise BadInput(f"{path} cannot be read as an image ({_reason(oiio.geterror())}); write it again.")
    try:
        spec, pixels = _read_part(file, 0, path)
        count = max(1, spec.get_int_attribute("oiio:subimages", 1)) if path.suffix.lower() == ".exr" else 1
        parts = tuple(Part(*_read_part(file, index, path)) for index in range(1, count))
        return Image(str(path), pixels, spec, parts)
    finally:
        file.close()


def _read_part(file: oiio.ImageInput, index: int, path: Path) -> tuple[oiio.ImageSpec, Stored]:
    file.seek_subimage(index, 0)
    spec = oiio.ImageSpec(file.spec())
    formats = {str(kind) for kind in spec.channelformats} or {str(spec.format)}
    if spec.deep or not formats <= _DTYPES.keys():
        stored = "deep pixels" if spec.deep else f"channels of type {', '.join(sorted(formats - _DTYPES.keys()))}"
        raise BadInput(
            f"{path} has {stored}, which cannot be kept exactly; write it with uint8, uint16, half or float."
        )
    # a half in a float buffer comes back as the same half, so that a file of both needs no third way
    kind = spec.format if len(formats) == 1 else oiio.FLOAT
    pixels = file.read_image(index, 0, 0, spec.nchannels, kind)
    if pixels is None:
        raise BadInput(f"{path} is damaged ({_reason(file.geterror())}); write it again.")
    return spec, pixels.reshape(spec.height, spec.width, spec.nchannels)


def read_metadata(path: Path) -> Mapping[str, str]:
    """The text and numbers in an image's header as text; empty where there is no readable file."""
    file = oiio.ImageInput.open(str(path)) if os.path.isfile(path) else None
    if file is None:
        oiio.geterror()
        return {}
    found = {attribute.name: str(attribute.value) for attribute in file.spec().extra_attribs}
    file.close()
    return found


def _reason(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else "its content is not what its name says"
