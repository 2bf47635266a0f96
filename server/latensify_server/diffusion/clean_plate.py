"""The clean plate: what other frames of a window show behind a matte, brought in at full resolution in linear light.

Frames are tried nearest first, in a fixed order. One that does not match around the hole (parallax, a cut, another
focus) is left out; its exposure is matched; where several show a pixel, one far from their median is not believed
(after Granados et al., "Background Inpainting for Videos with Dynamic Objects and a Free-moving Camera", 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_bridge.effects import Motion
from latensify_bridge.frames import Box
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import motion as moving
from latensify_server.diffusion.fill import Region
from latensify_server.diffusion.matte import box_of
from latensify_server.diffusion.motion import Matrix, Place

WORKING_SIDE = 960
"""Longest side of the pictures on which motion is estimated."""

BELIEVED = 5
"""So many frames are asked for a pixel."""

RING_PX = 24
MISMATCH = 0.07
"""Median difference around the hole, in perceived values, beyond which a frame is left out."""

OUTLIER = 0.1
"""Difference to the median of the frames, in perceived values, beyond which a pixel is not believed."""

MATCHED = (0.5, 2.0)


@dataclass(frozen=True)
class Shot:
    """The frames of a window, scene-linear [height, width, 3]; where each is to be filled; where it is background."""

    linear: tuple[Image, ...]
    holes: tuple[Region, ...]
    shows: tuple[Region, ...]
    motion: Motion
    places: tuple[Place, ...]
    """Of each frame at full resolution; most are aligned to the middle frame."""

    @property
    def anchor(self) -> int:
        return len(self.linear) // 2

    def between(self, source: int, target: int) -> Matrix | None:
        """The homography of one frame to another; None when a cut lies between."""
        there, here = self.places[source], self.places[target]
        return np.linalg.inv(here.matrix) @ there.matrix if there.root == here.root else None


@dataclass(frozen=True)
class Brought:
    """A part of another frame as the target would show it: pixels, and where they are there."""

    pixels: Image
    valid: Region


def shot_of(linear: Sequence[Image], holes: Sequence[Region], shows: Sequence[Region], motion: Motion) -> Shot:
    """A window with its background motion estimated outside the mattes."""
    height, width = linear[0].shape[:2]
    anchor = len(linear) // 2
    if motion is Motion.STATIC or len(linear) == 1:
        places = [Place(anchor, np.eye(3)) for _ in linear]
    else:
        factor = max(1.0, max(height, width) / WORKING_SIDE)
        size = (round(width / factor), round(height / factor))
        pictures = [_grey(frame, size) for frame in linear]
        backgrounds = [_background(hole, size) for hole in holes]
        found = moving.places(pictures, backgrounds, anchor)
        places = [Place(place.root, moving.scaled(place.matrix, factor)) for place in found]
    return Shot(tuple(linear), tuple(holes), tuple(shows), motion, tuple(places))


def clean_plate(shot: Shot, target: int) -> tuple[Image, Region]:
    """The target frame with what other frames show filled in, and where in its hole nothing was found."""
    hole = shot.holes[target]
    if not hole.any():
        return shot.linear[target], hole
    box = around(hole)
    inside = hole[box.slices]
    found: list[Brought] = []
    count = np.zeros(inside.shape, np.int32)
    for source in sorted(range(len(shot.linear)), key=lambda index: (abs(index - target), index)):
        if source == target or (count[inside] >= BELIEVED).all():
            continue
        brought = bring(shot, source, target, box, shot.linear[source], shot.shows[source])
        if brought is not None and (brought.valid & inside).any():
            found.append(brought)
            count += brought.valid
    filled = shot.linear[target].copy()
    if not found:
        return filled, hole
    pixels, seen = _agreed(found)
    taken = seen & inside
    filled[box.slices][taken] = pixels[taken]
    missing = hole.copy()
    missing[box.slices] &= ~taken
    return filled, missing


def bring(shot: Shot, source: int, target: int, box: Box, pixels: Image, shows: Region) -> Brought | None:
    """`pixels` of the source frame, where it `shows` background, in a box of the target; None if they do not match."""
    matrix = shot.between(source, target)
    if matrix is None:
        return None
    own = shot.linear[target][box.slices]
    around = ~shot.holes[target][box.slices]
    grid = _grid(matrix, box)
    brought, valid = _sampled(pixels, shows, grid)
    if shot.motion is Motion.FLOW and valid.any():
        flow = moving.remaining_flow(_grey(own), _grey(brought), valid & around)
        brought, valid = _sampled(pixels, shows, _grid(matrix, box, flow))
    ring = valid & around
    if not valid.any() or ring.sum() < 50:
        return Brought(brought, valid) if valid.any() else None
    matched = brought * _exposure(brought[ring], own[ring])
    difference = _perceived(matched[ring]) - _perceived(own[ring])
    return Brought(matched, valid) if np.median(np.abs(difference)) <= MISMATCH else None


def _agreed(found: Sequence[Brought]) -> tuple[Image, Region]:
    """Of what the frames show, nearest first, the first that lies near their median; and where there is any."""
    valid = np.stack([one.valid for one in found])
    display = np.stack([_perceived(one.pixels) for one in found])
    count = valid.sum(axis=0)
    ordered = np.sort(np.where(valid[..., None], display, np.inf), axis=0)
    middle = np.maximum(count - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None, ..., None], axis=0)[0]
    median = np.where(count[..., None] > 0, median, 0)
    near = valid & (np.abs(display - median).max(axis=-1) <= OUTLIER)
    near |= valid & ~near.any(axis=0) & (np.cumsum(valid, axis=0) == 1)
    first = near.argmax(axis=0)
    pixels = np.take_along_axis(np.stack([one.pixels for one in found]), first[None, ..., None], axis=0)[0]
    return pixels, count > 0


def _perceived(linear: Image) -> Image:
    """Roughly perceptual values in 0..1 of any scene-linear ones: cheap, for comparing."""
    lit = np.maximum(linear, 0)
    perceived: Image = np.sqrt(lit / (1 + lit))
    return perceived


def _exposure(brought: Image, own: Image) -> NDArray[np.float32]:
    """The gain of each channel that matches pixels [n, 3] to the target's."""
    gains = [
        float(np.median(own[lit, channel] / brought[lit, channel])) if lit.sum() > 20 else 1.0
        for channel in range(3)
        for lit in [(brought[:, channel] > 0.01) & (own[:, channel] > 0.01)]
    ]
    clipped: NDArray[np.float32] = np.clip(gains, *MATCHED).astype(np.float32)
    return clipped


def _sampled(pixels: Image, shows: Region, grid: Image) -> tuple[Image, Region]:
    """Pixels [h, w, 3] at the places of a grid, and where all that each is made of shows the background."""
    near = cv2.remap(pixels, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    sharp = cv2.remap(pixels, grid, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    slack = np.abs(near) * 0.25 + 0.02  # a cubic overshoots beside highlights; that much of it sharpens
    solid = cv2.erode(shows.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
    valid = cv2.remap(solid * np.uint8(255), grid, None, cv2.INTER_LINEAR, borderValue=0) >= 254
    bounded: Image = np.clip(sharp, near - slack, near + slack)
    return bounded, valid


def _grid(matrix: Matrix, box: Box, flow: Image | None = None) -> Image:
    """For each pixel of a box of the target, displaced by a flow, its place in the source [h, w, 2]."""
    x, y = np.meshgrid(np.arange(box.x0, box.x0 + box.width), np.arange(box.y0, box.y0 + box.height))
    places = np.stack([x, y], axis=-1).astype(np.float64)
    if flow is not None:
        places += flow
    there: Image = cv2.perspectiveTransform(places, np.linalg.inv(matrix)).astype(np.float32)
    return there


def around(hole: Region) -> Box:
    """The box of a hole with its ring, inside the frame."""
    height, width = hole.shape
    box = box_of(hole)
    x0, y0 = max(0, box.x0 - RING_PX), max(0, box.y0 - RING_PX)
    x1, y1 = min(width, box.x0 + box.width + RING_PX), min(height, box.y0 + box.height + RING_PX)
    return Box(x0, y0, x1 - x0, y1 - y0)


def _grey(linear: Image, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The picture on which motion is found."""
    smaller = linear if size is None else cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(np.clip(colour.to_display(smaller), 0, 1), cv2.COLOR_RGB2GRAY)
    rounded: NDArray[np.uint8] = np.rint(grey * 255).astype(np.uint8)
    return rounded


def _background(hole: Region, size: tuple[int, int]) -> NDArray[np.uint8]:
    """255 where features may be looked for: well outside the hole, since a tracking window is wide."""
    covered = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    near = cv2.dilate(covered.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
    return np.where(near, np.uint8(0), np.uint8(255))
