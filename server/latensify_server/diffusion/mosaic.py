"""What no frame shows, painted once for all frames of a stretch: on their mosaic, carried back by the way it was laid.

The frames' own pixels are laid out as the frame that they are aligned to would show them; the hole that is left is
painted there, and every frame takes its part from it by one resampling. So it cannot flicker, and it moves as the
background does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from latensify_bridge.choices import Motion
from latensify_bridge.frames import Box
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import clean_plate as plates
from latensify_server.diffusion.clean_plate import Found, Shot, Source
from latensify_server.diffusion.fill import Region, smooth_fill
from latensify_server.diffusion.motion import Matrix

CONTEXT = 0.75
"""Surroundings on each side of what is painted, as a part of its longer side."""

CONTEXT_PX = 28
MOST_SIDES = 3
"""A mosaic is at most so many frames wide and high; what lies beyond is painted in its own frame."""

Fill = Callable[[Image, Region, Region], Image]
"""Paints a scene-linear picture's hole, with patches from where it is usable."""


@dataclass(frozen=True)
class Mosaic:
    """Part of the background as one frame, its root, would show it; `offset` is its corner in the root's pixels.

    Attributes:
        pixels: scene-linear [h, w, 3].
        hole: [h, w], what some frame needs and none shows.
        shown: [h, w], what any frame shows.
    """

    pixels: Image
    hole: Region
    shown: Region
    offset: tuple[int, int]


def completed(
    shot: Shot, found: Sequence[Found], together: bool, fill: Fill, report: Callable[[float], None]
) -> list[Found]:
    """Every frame whole: what is missing of each taken from its stretch's mosaic, or else painted in itself.

    `together`: frames may take from one another at all.
    """
    whole = list(found)
    stretches = stretches_of(shot) if together else [[index] for index in range(len(found))]
    for number, members in enumerate(stretches):
        report(number / len(stretches))
        mosaic = mosaic_of(shot, whole, members) if len(members) > 1 else None
        if mosaic is not None:
            mosaic = replace(mosaic, pixels=fill(mosaic.pixels, mosaic.hole, mosaic.shown))
        for index in members:
            if mosaic is not None:
                whole[index] = _taken(shot, index, whole[index], mosaic)
            if whole[index].missing.any():
                pixels = fill(whole[index].pixels, whole[index].missing, ~whole[index].missing)
                whole[index] = replace(whole[index], pixels=pixels, missing=np.zeros_like(whole[index].missing))
    return whole


def stretches_of(shot: Shot) -> list[list[int]]:
    """The frames that are aligned to one another, of each stretch of the window between cuts."""
    roots = sorted({place.root for place in shot.places})
    return [[index for index, place in enumerate(shot.places) if place.root == root] for root in roots]


def mosaic_of(shot: Shot, found: Sequence[Found], members: Sequence[int]) -> Mosaic | None:
    """The mosaic around what is missing in these frames, all aligned to one of them; None when nothing is."""
    box = extent(shot, [one.missing for one in found], members)
    if box is None:
        return None
    shape = (box.height, box.width)
    pixels = np.zeros((*shape, 3), np.float32)
    shown, hole = np.zeros(shape, bool), np.zeros(shape, bool)
    for index in sorted(members, key=lambda index: (abs(index - shot.places[index].root), index)):
        grid = plates.grid_of(shot.places[index].matrix, box)
        hole |= plates.shown(~found[index].missing, grid, outside=True) == 0
        valid = plates.shown(~found[index].missing, grid) & ~shown
        if valid.any():
            pixels[valid] = plates.sampled(colour.encode_srgb(found[index].pixels), grid)[valid]
            shown |= valid
    hole &= ~shown
    return Mosaic(np.where(shown[..., None], pixels, smooth_fill(pixels, shown)), hole, shown, (box.x0, box.y0))


def extent(shot: Shot, regions: Sequence[Region], members: Sequence[int]) -> Box | None:
    """The box around these regions of the members, with context, in pixels of the frame that they are aligned to."""
    corners = []
    for index in members:
        if regions[index].any():
            rows, columns = np.nonzero(regions[index])
            x0, x1, y0, y1 = columns.min(), columns.max(), rows.min(), rows.max()
            square = np.array([[[x0, y0], [x1, y0], [x0, y1], [x1, y1]]], np.float64)
            corners.append(cv2.perspectiveTransform(square, shot.places[index].matrix)[0])
    if not corners:
        return None
    height, width = shot.holes[0].shape
    every = np.concatenate(corners)
    margin = CONTEXT_PX + CONTEXT * float(np.max(np.ptp(every, axis=0)))
    limit = (MOST_SIDES - 1) / 2 * np.array([width, height])
    low = np.floor(np.maximum(every.min(axis=0) - margin, -limit)).astype(int)
    size = np.array([width, height])
    high = np.ceil(np.minimum(every.max(axis=0) + margin, limit + size)).astype(int)
    return Box(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])) if (high > low).all() else None


def _taken(shot: Shot, index: int, found: Found, mosaic: Mosaic) -> Found:
    """A frame with what it misses taken from the filled mosaic."""
    if not found.missing.any():
        return found
    box = plates.around(found.missing)
    way = np.linalg.inv(shot.places[index].matrix) @ _shift(mosaic.offset)
    source = Source(colour.encode_srgb(mosaic.pixels), mosaic.shown | mosaic.hole, way)
    brought = plates.bring(shot, index, box, source, found.missing[box.slices], shot.motion is Motion.FLOW)
    if brought is None:
        return found
    pixels, missing = found.pixels.copy(), found.missing.copy()
    taken = brought.valid & missing[box.slices]
    pixels[box.slices][taken] = brought.pixels[taken]
    missing[box.slices] &= ~taken
    return replace(found, pixels=pixels, missing=missing)


def _shift(offset: tuple[int, int]) -> Matrix:
    return np.array([[1, 0, offset[0]], [0, 1, offset[1]], [0, 0, 1.0]])
