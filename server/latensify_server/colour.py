"""Colour: the plate's space to scene-linear Rec.709 and back, and the display-referred picture that a model sees.

The spaces are those of OpenColorIO's built-in studio config, pinned by name so that a newer OpenColorIO changes no
pixel. Everything here is float32, works on [height, width, 3], and lets negative values and values above 1.0 through.
"""

from __future__ import annotations

import functools

import numpy as np
import PyOpenColorIO as ocio
from numpy.typing import NDArray

from latensify_bridge.choices import ColourSpace
from latensify_bridge.frames import HALF_MAX

Image = NDArray[np.float32]

CONFIG = "studio-config-v2.2.0_aces-v1.3_ocio-v2.4"
LINEAR = "Linear Rec.709 (sRGB)"
SPACES = {
    ColourSpace.AUTO: "sRGB - Texture",  # clients resolve auto; what nobody resolved is sRGB
    ColourSpace.SRGB: "sRGB - Texture",
    ColourSpace.REC709: "Gamma 2.4 Rec.709 - Texture",  # what a Rec.709 timeline holds is graded on a BT.1886 display
    ColourSpace.LINEAR_REC709: LINEAR,
    ColourSpace.ACESCG: "ACEScg",
    ColourSpace.ACESCCT: "ACEScct",
    ColourSpace.DAVINCI_INTERMEDIATE: "DaVinci Intermediate WideGamut",
    ColourSpace.LOGC4: "ARRI LogC4",
    ColourSpace.SLOG3: "S-Log3 S-Gamut3.Cine",  # the gamut Sony recommends for grading, and the usual delivery
    ColourSpace.LOG3G10: "Log3G10 REDWideGamutRGB",
}
KNEE = np.float32(0.8)
"""Linear value where the shoulder starts; below it the picture a model sees is plain sRGB."""

WHITE = np.float32(1 - 1e-6)


@functools.lru_cache(maxsize=32)
def _processor(source: str, target: str) -> ocio.CPUProcessor:
    config = ocio.Config.CreateFromBuiltinConfig(CONFIG)
    return config.getProcessor(source, target).getOptimizedCPUProcessor(ocio.OPTIMIZATION_LOSSLESS)


def _converted(rgb: NDArray[np.floating], source: str, target: str) -> Image:
    out = np.array(rgb, dtype=np.float32, order="C")
    if source != target:
        _processor(source, target).applyRGB(out)
    return out


def to_linear(rgb: NDArray[np.floating], space: ColourSpace) -> Image:
    """Pixels in `space` to scene-linear Rec.709. NaN becomes 0; infinities become the largest half float."""
    return finite(_converted(finite(rgb.astype(np.float32)), SPACES[space], LINEAR))


def from_linear(rgb: Image, space: ColourSpace) -> Image:
    """Scene-linear Rec.709 to `space`; always finite."""
    return finite(_converted(rgb, LINEAR, SPACES[space]))


def finite(values: Image) -> Image:
    """NaN to 0, and everything within the range of half floats."""
    return np.clip(np.nan_to_num(values, nan=0.0), -HALF_MAX, HALF_MAX)


def to_display(linear: Image) -> Image:
    """Scene-linear to what a model sees: sRGB below the knee, above it a shoulder that reaches 1 only at infinity.

    A pixel keeps its hue: all its channels are scaled by what the shoulder does to the largest. Negative values stay.
    """
    return encode_srgb(linear / highlight_range(linear)[..., None])


def from_display(display: Image) -> Image:
    """The inverse of `to_display`, for values below 1."""
    folded = decode_srgb(display)
    top = folded.max(axis=-1, keepdims=True)
    over = top > KNEE
    encoded = np.minimum(encode_srgb(top), WHITE)
    return folded * np.where(over, decode_srgb(_unfold(encoded)) / np.where(over, top, 1), 1).astype(np.float32)


def highlight_range(linear: Image) -> Image:
    """How many times brighter each pixel is than the display-referred picture shows it, [height, width], 1 or more."""
    top = linear.max(axis=-1)
    over = top > KNEE
    shown = decode_srgb(_fold(encode_srgb(np.where(over, top, 1))))
    return np.where(over, top / shown, 1).astype(np.float32)


def encode_srgb(linear: Image) -> Image:
    """The sRGB curve (IEC 61966-2-1), extended over 1 and mirrored below 0."""
    size = np.abs(linear)
    curve = np.where(size <= 0.0031308, size * 12.92, 1.055 * np.power(size, 1 / 2.4, dtype=np.float32) - 0.055)
    return np.copysign(curve, linear).astype(np.float32)


def decode_srgb(encoded: Image) -> Image:
    """The inverse of `encode_srgb`."""
    size = np.abs(encoded)
    curve = np.where(size <= 0.04045, size / 12.92, np.power((size + 0.055) / 1.055, 2.4, dtype=np.float32))
    return np.copysign(curve, encoded).astype(np.float32)


_START = np.float32(1.055 * 0.8 ** (1 / 2.4) - 0.055)
_REST = np.float32(1) - _START


def _fold(encoded: Image) -> Image:
    """Encoded values from the knee to infinity onto the knee to 1, with no kink at the knee."""
    over = (encoded - _START) / _REST
    folded: Image = (_START + _REST * over / (1 + over)).astype(np.float32)
    return folded


def _unfold(encoded: Image) -> Image:
    over = (encoded - _START) / _REST
    unfolded: Image = (_START + _REST * over / np.maximum(1 - over, 1e-6)).astype(np.float32)
    return unfolded
