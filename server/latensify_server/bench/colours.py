"""The eight named colours, read off pixels.

In CIELAB a named colour keeps its hue in light and shade, so hue alone tells the six chromatic ones apart; white and
black are what has hardly any chroma and is light or very dark.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.bench.measures import Picture, Region
from latensify_server.training.worlds import COLOURS

NAMES = tuple(COLOURS)
NONE = -1
CHROMATIC, ACHROMATIC = 25.0, 22.0
"""CIELAB chroma from which a pixel has a hue, and below which it has none."""

HUE_DEG = 20.0
LIGHT, DARK = 45.0, 16.0
"""CIELAB lightness from which a grey is white, and below which it is black."""

SHARE = 0.25
"""Part of an object that must show a hue for it to have one: a white car has red lamps."""


def lab(picture: Picture) -> Picture:
    """CIELAB [h, w, 3] of a picture in sRGB: lightness in 0..100."""
    return np.asarray(cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2Lab), np.float32)


def _hue_deg(values: Picture) -> Picture:
    return np.degrees(np.arctan2(values[..., 2], values[..., 1]))


def _named() -> tuple[list[int], Picture]:
    """Indices of the chromatic names, and their hues."""
    values = lab(np.array([list(COLOURS.values())], np.float32))[0]
    chosen = np.flatnonzero(np.hypot(values[:, 1], values[:, 2]) > CHROMATIC)
    return [int(index) for index in chosen], _hue_deg(values[chosen])


def names_of(picture: Picture) -> NDArray[np.int64]:
    """For each pixel the index in NAMES of its colour, or NONE for greys, browns and hues in between."""
    values = lab(picture)
    chroma = np.hypot(values[..., 1], values[..., 2])
    indices, hues = _named()
    away = np.abs((_hue_deg(values)[..., None] - hues + 180) % 360 - 180)
    nearest = np.array(indices)[away.argmin(axis=-1)]
    found = np.where((chroma > CHROMATIC) & (away.min(axis=-1) < HUE_DEG), nearest, NONE)
    grey = chroma < ACHROMATIC
    found[grey & (values[..., 0] > LIGHT)] = NAMES.index("white")
    found[grey & (values[..., 0] < DARK)] = NAMES.index("black")
    return found


def colour_of(picture: Picture, region: Region) -> str:
    """The colour that a person would name for what fills a region: its commonest hue, else white or black.

    Raises:
        ValueError: the region is empty.
    """
    found = names_of(picture)[region]
    if not found.size:
        raise ValueError("An empty region has no colour; leave such a picture out.")
    shares = np.bincount(found[found != NONE], minlength=len(NAMES)) / found.size
    chromatic, _ = _named()
    hue = max(chromatic, key=lambda index: shares[index])
    return NAMES[hue] if shares[hue] >= SHARE else NAMES[int(shares.argmax())]
