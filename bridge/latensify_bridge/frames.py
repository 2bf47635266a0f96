"""Pixels and buffers: what a frame is on the wire, and how it is named.

A frame is C-contiguous rows from top to bottom; 4 channels are straight (unpremultiplied) RGBA in the plate's own
colour space, 1 channel is a matte.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any

import msgspec
import numpy as np
import xxhash
from msgspec import Meta
from numpy.typing import NDArray

Pixels = NDArray[Any]  # float16 or float32

HALF_MAX = 65504.0


class Depth(enum.Enum):
    HALF = "half"
    FLOAT = "float"

    @property
    def dtype(self) -> np.dtype[np.float16] | np.dtype[np.float32]:
        return np.dtype(np.float16) if self is Depth.HALF else np.dtype(np.float32)


class FrameSpec(msgspec.Struct, frozen=True):
    """The shape of a frame: width and height in pixels, 1 (matte) or 4 (RGBA) channels, and number format."""

    width: Annotated[int, Meta(ge=1, le=32768)]
    height: Annotated[int, Meta(ge=1, le=32768)]
    channels: Annotated[int, Meta(ge=1, le=4)]
    depth: Depth

    @property
    def nbytes(self) -> int:
        return self.width * self.height * self.channels * self.depth.dtype.itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)


class Box(msgspec.Struct, frozen=True):
    """A rectangle of a frame: x0, y0 from the left and the top, in pixels. Empty where nothing is edited."""

    x0: Annotated[int, Meta(ge=0, le=32768)]
    y0: Annotated[int, Meta(ge=0, le=32768)]
    width: Annotated[int, Meta(ge=0, le=32768)]
    height: Annotated[int, Meta(ge=0, le=32768)]

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.y0, self.y0 + self.height), slice(self.x0, self.x0 + self.width)

    def nbytes(self, depth: Depth) -> int:
        """Bytes of a result in this box: RGB and matte."""
        return self.width * self.height * 4 * depth.dtype.itemsize


class Edited(msgspec.Struct, frozen=True):
    """An edited frame: its box, straight RGB [height, width, 3] in the plate's colour space, matte [height, width]."""

    box: Box
    rgb: Pixels
    matte: Pixels


def spec_of(pixels: Pixels) -> FrameSpec:
    """The spec of [height, width, 4] or [height, width] half or float pixels."""
    depth = Depth.HALF if pixels.dtype == np.float16 else Depth.FLOAT
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return FrameSpec(width=pixels.shape[1], height=pixels.shape[0], channels=channels, depth=depth)


def frame_digest(spec: FrameSpec) -> xxhash.xxh3_128:
    """What a frame's name is made by: still to be updated with its bytes, in order."""
    return xxhash.xxh3_128(f"{spec.width}x{spec.height}x{spec.channels} {spec.depth.value}\n".encode())


def frame_name(spec: FrameSpec, data: bytes | memoryview) -> str:
    """A frame's name: XXH3-128 of a line that gives its spec, then of its bytes. 32 hexadecimal digits."""
    digest = frame_digest(spec)
    digest.update(data)
    return digest.hexdigest()


def to_half(values: NDArray[np.float32]) -> NDArray[np.float16]:
    """Float to half, nearest even; what half cannot hold becomes its largest number, NaN becomes 0."""
    finite = np.nan_to_num(values, nan=0.0, posinf=HALF_MAX, neginf=-HALF_MAX)
    return np.clip(finite, -HALF_MAX, HALF_MAX).astype(np.float16)


def pack(edited: Edited) -> list[memoryview]:
    """The bytes of a result, in order: RGB, matte."""
    return [np.ascontiguousarray(part).data.cast("B") for part in (edited.rgb, edited.matte) if part.size]


def unpack(data: bytes | memoryview, box: Box, depth: Depth) -> Edited:
    """A result from its bytes. Raises ValueError when they are too few or too many."""
    values = np.frombuffer(data, dtype=depth.dtype)
    area = box.width * box.height
    if values.size != 4 * area:
        raise ValueError(f"a result of {box.width}x{box.height} needs {4 * area} numbers, not {values.size}")
    return Edited(
        box=box,
        rgb=values[: 3 * area].reshape(box.height, box.width, 3),
        matte=values[3 * area :].reshape(box.height, box.width),
    )
