"""Pixels in memory as hosts lay them out: depths, row orders, padded rows, and guard bytes that must survive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DTYPES: dict[str, Any] = {"byte": np.uint8, "short": np.uint16, "half": np.float16, "float": np.float32}
CHANNELS = {"RGBA": 4, "RGB": 3, "Alpha": 1}
_WHITE = {"byte": 255, "short": 65535}
_GUARD_BYTES = 64
_PATTERN = 0xCD  # what stands where nobody may write
_NAN = 0xFF  # four of these make a NaN in float and half: what a reader past a row's end gets


@dataclass(frozen=True)
class Layout:
    """How rows lie in memory. `rows` "up": the bottom row first, positive row bytes. "down": the top row first,
    negative row bytes; the data pointer is at the bottom row either way. `padding` bytes follow each row.
    """

    rows: str = "up"
    padding: int = 0


def to_depth(pixels: Array, depth: str) -> Array:
    """Array of `depth`. An array of its dtype passes as it is; others are taken as 0..1 where integers need it."""
    if pixels.dtype == DTYPES[depth]:
        return pixels
    if pixels.dtype.kind == "u":
        pixels = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    if depth not in _WHITE:
        return np.asarray(pixels, DTYPES[depth])
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * _WHITE[depth]), DTYPES[depth])


def to_components(pixels: Array, components: str) -> Array:
    """(h, w, c) with the channels asked for: a missing alpha is white, a missing colour is black."""
    wanted, held = CHANNELS[components], pixels.shape[2]
    if wanted == held:
        return pixels
    white = 1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    if wanted == 1:
        return pixels[..., 3:4] if held == 4 else np.full_like(pixels[..., :1], white)
    colour = pixels[..., :3] if held >= 3 else np.zeros_like(pixels, shape=(*pixels.shape[:2], 3))
    alpha = pixels[..., 3:4] if held == 4 else pixels if held == 1 else np.full_like(pixels[..., :1], white)
    return np.concatenate([colour, alpha], axis=2) if wanted == 4 else colour


def at_scale(pixels: Array, scale: tuple[float, float]) -> Array:
    """The proxy that a host makes of a frame: every n-th pixel, taken at the centres."""
    height, width = pixels.shape[:2]
    columns = _samples(width, scale[0])
    rows = _samples(height, scale[1])
    return pixels[rows][:, columns]


def _samples(length: int, scale: float) -> Array:
    count = max(int(np.ceil(length * scale)), 1)
    return np.asarray(np.minimum(((np.arange(count) + 0.5) / scale).astype(int), length - 1))


class Pixels:
    """Memory of one image, owned. `view` is (h, w, c), top row first, whatever the layout."""

    def __init__(self, width: int, height: int, components: str, depth: str, layout: Layout, guard: int) -> None:
        dtype = np.dtype(DTYPES[depth])
        used = width * CHANNELS[components] * dtype.itemsize
        stride = used + layout.padding
        self.guard = guard
        self.memory = np.full(2 * _GUARD_BYTES + stride * height, guard, np.uint8)
        self.rows = self.memory[_GUARD_BYTES : _GUARD_BYTES + stride * height].reshape(height, stride)
        self.used = used
        stored = self.rows[:, :used].view(dtype).reshape(height, width, CHANNELS[components])
        self.view = stored[::-1] if layout.rows == "up" else stored
        first = self.memory.ctypes.data + _GUARD_BYTES
        self.data = first if layout.rows == "up" else first + stride * max(height - 1, 0)
        self.row_bytes = stride if layout.rows == "up" else -stride
        self.saved: Array | None = None

    def freeze(self) -> None:
        """Remember the contents: they must not change any more."""
        self.saved = self.memory.copy()

    def changed(self) -> bool:
        return self.saved is not None and not np.array_equal(self.saved, self.memory)

    def damaged(self) -> bool:
        """Whether anyone wrote to the guard bytes or the padding."""
        ends = np.concatenate([self.memory[:_GUARD_BYTES], self.memory[-_GUARD_BYTES:]])
        return bool((ends != self.guard).any() or (self.rows[:, self.used :] != self.guard).any())

    def spoil(self) -> None:
        """Fill with NaN: whoever still reads it shows."""
        self.memory[:] = _NAN


def source_pixels(pixels: Array, components: str, depth: str, layout: Layout) -> Pixels:
    """Memory holding a frame (h, w, c); what lies beyond its rows reads as NaN or white."""
    made = Pixels(pixels.shape[1], pixels.shape[0], components, depth, layout, _NAN)
    made.view[...] = pixels
    made.freeze()
    return made


def blank_pixels(width: int, height: int, components: str, depth: str, layout: Layout) -> Pixels:
    """Memory for an output, all of it the pattern."""
    return Pixels(width, height, components, depth, layout, _PATTERN)


def untouched(region: Array) -> bool:
    """Whether a part of a blank output still holds the pattern alone."""
    return bool((np.ascontiguousarray(region).view(np.uint8) == _PATTERN).all())
