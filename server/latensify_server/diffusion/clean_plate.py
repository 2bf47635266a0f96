"""The clean plate: what other frames of a window show behind a matte, brought in at full resolution.

Gains and means are of linear light. Pixels between pixels are interpolated in sRGB-encoded values, whatever their
range: in linear light a cubic leaves halos of bright edges in the dark, which cost 5 dB on the clips of bench/shot.py.

Frames are tried nearest first, in a fixed order. One that does not match around the hole (parallax, a cut, another
focus) is left out; its exposure is matched; where several show a pixel, one far from their median is not believed
(after Granados et al., "Background Inpainting for Videos with Dynamic Objects and a Free-moving Camera", 2012).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_bridge.choices import Motion
from latensify_bridge.frames import Box
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import motion as moving
from latensify_server.diffusion.fill import Region, grain_of, smooth_fill, spread_of
from latensify_server.diffusion.matte import box_of
from latensify_server.diffusion.motion import Matrix, Place

WORKING_SIDE = 960
"""Longest side of the pictures on which motion is estimated."""

BELIEVED = 12
"""So many frames are asked for a pixel: their mean has little grain, and a majority outvotes what passes by."""

NEAREST = 4
"""So many of the nearest frames are asked before those from everywhere."""

FOLLOWED = 4
"""So many frames are asked for a pixel where each is aligned by its flow."""

EDGE_PX = 3.0
TRUSTED = 0.2
"""A frame counts where it is trusted at least so much as the one trusted most."""

GRAIN = 0.015
"""Differences in perceived values below this say nothing about how well a frame matches."""

RING_PX = 24
MISMATCH = 0.07
"""Median difference around the hole, in perceived values, beyond which a frame is left out."""

SPREAD = 0.05
"""Difference to the median of the frames, in perceived values, at which a frame's say has fallen to 1/e."""

MATCHED = (0.5, 2.0)


@dataclass(frozen=True)
class Shot:
    """The frames of a window, scene-linear [height, width, 3]; where each is to be filled; where it is background."""

    linear: tuple[Image, ...]
    encoded: tuple[Image, ...]
    """The same, sRGB-encoded."""

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
class Source:
    """Another picture of the background, sRGB-encoded [h, w, 3]; where it shows it; its homography to the target."""

    encoded: Image
    shows: Region
    matrix: Matrix


@dataclass(frozen=True)
class Brought:
    """A part of another frame as the target would show it: pixels, where they are there, and how far to trust them."""

    pixels: Image
    valid: Region
    trust: NDArray[np.float32]
    """[h, w], one over the squared difference (in perceived values) to what is around the hole nearby."""


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
    encoded = tuple(colour.encode_srgb(frame) for frame in linear)
    return Shot(tuple(linear), encoded, tuple(holes), tuple(shows), motion, tuple(places))


@dataclass(frozen=True)
class Found:
    """A frame with what others show filled in.

    Attributes:
        pixels: scene-linear [h, w, 3].
        missing: [h, w], where in its hole nothing was found.
        frames: [h, w], of how many frames a pixel is the mean; 1 outside the hole.
        grain: the frame's own, for each channel, as a standard deviation of sRGB-encoded values.
    """

    pixels: Image
    missing: Region
    frames: NDArray[np.float32]
    grain: NDArray[np.float32]


def clean_plate(shot: Shot, target: int) -> Found:
    """The target frame with what other frames show filled in, and where in its hole nothing was found."""
    hole = shot.holes[target]
    found = untouched(shot, target)
    if not hole.any():
        return found
    box = around(hole)
    inside = hole[box.slices]
    brought = (
        _followed(shot, target, box, inside) if shot.motion is Motion.FLOW else _aligned(shot, target, box, inside)
    )
    count = np.sum([one.valid & (one.trust > 0) for one in brought], axis=0) if brought else np.zeros_like(inside, int)
    if not brought:
        return found
    pixels, frames = _agreed(brought)
    taken = (count > 0) & inside
    filled, missing, number = found.pixels.copy(), hole.copy(), found.frames.copy()
    filled[box.slices][taken] = pixels[taken]
    missing[box.slices] &= ~taken
    number[box.slices][taken] = frames[taken]
    grain = np.minimum(found.grain, _grain(shot, target, box, pixels, frames, count))
    return Found(filled, missing, number, grain)


def _grain(
    shot: Shot, target: int, box: Box, pixels: Image, frames: NDArray[np.float32], count: NDArray[np.int32]
) -> NDArray[np.float32]:
    """The grain around a hole by what the frame differs from the mean of others: texture does not pass for it."""
    own, ring = shot.encoded[target][box.slices], (count >= 2) & ~shot.holes[target][box.slices]
    apart = (own - colour.encode_srgb(pixels)) / np.sqrt(1 + 1 / frames)[..., None]
    return spread_of(apart.astype(np.float32), ring)


def untouched(shot: Shot, target: int) -> Found:
    """The target frame with its hole as it is."""
    hole = shot.holes[target]
    box = around(hole)
    grain = grain_of(shot.linear[target][box.slices], ~hole[box.slices])
    return Found(shot.linear[target], hole, np.ones(hole.shape, np.float32), grain)


def _followed(shot: Shot, target: int, box: Box, hole: Region) -> list[Brought]:
    """What the nearest frames show, each aligned by its flow: that of far ones is not to be had inside a hole."""
    brought: list[Brought] = []
    count = np.zeros(hole.shape, np.int32)
    for other in _others(shot, target, _nearest(target, len(shot.linear))):
        wanted = hole & (count < FOLLOWED)
        one = bring(shot, target, box, other, wanted, flow=True) if wanted.any() else None
        if one is not None:
            brought.append(one)
            count += one.valid
    return brought


def _aligned(shot: Shot, target: int, box: Box, hole: Region) -> list[Brought]:
    """What frames from the whole window show under their homographies; along the hole's edge also by their flow."""
    brought: list[Brought] = []
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    # what stands nearer and crosses the edge goes on inside: a flow reaches as far as what it was measured on
    near = np.minimum(depth / np.float32(EDGE_PX), np.float32(3))
    fall = np.where(near < 3, np.exp(-(near**2)), 0).astype(np.float32)
    edge, followed = hole & (depth <= EDGE_PX), np.zeros(hole.shape, np.int32)
    count = np.zeros(hole.shape, np.int32)
    for other in _others(shot, target, _spread(target, len(shot.linear))):
        wanted = hole & (count < BELIEVED)
        one = bring(shot, target, box, other, wanted) if wanted.any() else None
        if one is not None:
            brought.append(one)
            count += one.valid
        wanted = edge & (followed < 2)
        one = (
            bring(shot, target, box, other, wanted, True) if shot.motion is not Motion.STATIC and wanted.any() else None
        )
        if one is not None:
            brought.append(replace(one, trust=one.trust * fall, valid=one.valid & (fall > 0)))
            followed += one.valid
    return brought


def _others(shot: Shot, target: int, order: Sequence[int]) -> Iterator[Source]:
    for index in order:
        matrix = shot.between(index, target)
        if matrix is not None:
            yield Source(shot.encoded[index], shot.shows[index], matrix)


def _nearest(target: int, count: int) -> list[int]:
    """The other frames, nearest first."""
    return sorted((index for index in range(count) if index != target), key=lambda index: (abs(index - target), index))


def _spread(target: int, count: int) -> list[int]:
    """The other frames in the order in which they are asked: the nearest, then some from everywhere, then all."""
    near = _nearest(target, count)
    rest = near[NEAREST:]
    some = rest[:: max(1, len(rest) // (BELIEVED - NEAREST))]
    return [*near[:NEAREST], *some, *(index for index in rest if index not in some)]


def bring(shot: Shot, target: int, box: Box, source: Source, wanted: Region, flow: bool = False) -> Brought | None:
    """What the source shows, in a box of the target.

    None if it does not match what is around the hole, or has nothing for what is `wanted` [of the box].
    """
    grid = grid_of(source.matrix, box)
    valid = shown(source.shows, grid)
    if not (valid & wanted).any():
        return None
    own = shot.linear[target][box.slices]
    around = ~shot.holes[target][box.slices]
    brought = sampled(source.encoded, grid)
    if flow:
        rest = moving.remaining_flow(_grey(own), _grey(brought), valid & around)
        grid = grid_of(source.matrix, box, rest)
        brought, valid = sampled(source.encoded, grid), shown(source.shows, grid)
    ring = valid & around
    if ring.sum() < 50:
        return Brought(brought, valid, np.full(valid.shape, 1 / MISMATCH**2, np.float32))
    matched = brought * _exposure(brought[ring], own[ring])
    apart = np.abs(_perceived(matched) - _perceived(own)).max(axis=-1)
    if np.median(apart[ring]) > MISMATCH:
        return None
    return Brought(matched, valid, _trust(apart, ring))


def _trust(apart: NDArray[np.float32], ring: Region) -> NDArray[np.float32]:
    """How far a picture is to be trusted in the hole: as the ring nearby matches it."""
    near = cv2.blur(ring.astype(np.float32), (5, 5))
    local = cv2.blur(np.where(ring, apart, 0), (5, 5)) / np.maximum(near, 1e-6)
    error = smooth_fill(local[..., None].astype(np.float32), ring)[..., 0]
    return np.asarray(1 / (error**2 + GRAIN**2), np.float32)


def _agreed(found: Sequence[Brought]) -> tuple[Image, NDArray[np.float32]]:
    """The mean of what the frames show, each counting as far as it lies near their median; and of how many it is."""
    trust = np.stack([one.trust for one in found])
    valid = np.stack([one.valid for one in found])
    valid &= trust >= TRUSTED * np.where(valid, trust, 0).max(axis=0)
    pixels = np.stack([one.pixels for one in found])
    display = _perceived(pixels)
    ordered = np.sort(np.where(valid[..., None], display, np.inf), axis=0)
    middle = np.asarray(np.maximum(valid.sum(axis=0) - 1, 0))
    halves = [
        np.take_along_axis(ordered, half[None, ..., None], axis=0)[0] for half in (middle // 2, (middle + 1) // 2)
    ]
    median = np.where(np.asarray(valid.any(axis=0))[..., None], (halves[0] + halves[1]) / 2, 0)
    apart = np.abs(display - median).max(axis=-1)
    say = np.where(valid, (np.exp(-((apart / SPREAD) ** 2)) + np.float32(1e-6)) * trust, 0).astype(np.float32)
    total = np.maximum(say.sum(axis=0), 1e-12)
    mean = np.einsum("nhw,nhwc->hwc", say, pixels) / total[..., None]
    return mean.astype(np.float32), total**2 / np.maximum((say**2).sum(axis=0), 1e-12)


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


def sampled(encoded: Image, grid: Image) -> Image:
    """Linear pixels [h, w, 3] at the places of a grid, of a picture that is sRGB-encoded."""
    near = cv2.remap(encoded, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    sharp = cv2.remap(encoded, grid, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    slack = np.abs(near) * 0.15 + 0.05  # a cubic overshoots beside highlights; that much of it sharpens
    return colour.decode_srgb(np.clip(sharp, near - slack, near + slack))


def shown(shows: Region, grid: Image, outside: bool = False) -> Region:
    """Where all that a pixel at the places of a grid is made of shows the background; `outside`: or nothing at all."""
    solid = cv2.erode(shows.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=int(outside))
    border = 255 if outside else 0
    every: Region = cv2.remap(solid * np.uint8(255), grid, None, cv2.INTER_LINEAR, borderValue=border) >= 254
    return every


def grid_of(matrix: Matrix, box: Box, flow: Image | None = None) -> Image:
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
