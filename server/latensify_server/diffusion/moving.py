"""Moving texture behind a matte (water, smoke, leaves): a piece of the same texture elsewhere, from the same frame.

No other time shows what moves. On the stabilised window a place nearby is looked for that could stand here in every
frame: patches over several frames at once (after Wexler, Shechtman and Irani, "Space-Time Completion of Video", 2007).
The way there is one for the whole window, so the fill moves as the texture itself does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_bridge.frames import Box
from latensify_server.colour import Image
from latensify_server.diffusion import clean_plate as plates
from latensify_server.diffusion.clean_plate import Found, Shot
from latensify_server.diffusion.fill import Region, smooth_fill
from latensify_server.diffusion.patches import patch_places

FEWEST_FRAMES = 4
LOOKED_AT = 3
"""Frames whose patches are compared."""

RESTLESS = 0.02
"""Change from frame to frame, in encoded values and beyond grain and edges, that makes a texture a moving one."""

LEANS = 0.4
"""Share of moving surroundings from which on a pixel counts as moving: a still patch shows more in what moves."""

EDGE_PX = 0.25
"""So far may edges lie off their place without counting as moving."""

WIDE = 2.0
"""The moving texture that is seen must be so many times larger than what is to be filled of it."""

SMALLEST_PX = 40


@dataclass(frozen=True)
class Volume:
    """A window stabilised on the frame that it is aligned to: encoded [n, h, w, 3], and what of it is background."""

    box: Box
    frames: Image
    shows: NDArray[np.bool_]
    holes: NDArray[np.bool_]


def moved(shot: Shot, found: Sequence[Found], box: Box | None, members: Sequence[int]) -> list[tuple[Found, Region]]:
    """Each member's frame with moving texture filled in, and where that is; nothing where there is none.

    Args:
        box: what is stabilised, in the pixels of the frame that the members are aligned to.
    """
    nothing = [(found[index], np.zeros_like(found[index].missing)) for index in members]
    if box is None or len(members) < FEWEST_FRAMES:
        return nothing
    volume = _volume(shot, box, members)
    restless = _restless(volume, np.max([found[index].grain for index in members]))
    union = volume.holes.any(axis=0) & restless
    source = restless & volume.shows.all(axis=0)
    if union.sum() < SMALLEST_PX or source.sum() < WIDE * union.sum():
        return nothing
    picked = np.linspace(0, len(members) - 1, LOOKED_AT).round().astype(int)
    known = volume.shows[picked].all(axis=0) & ~union
    stacked = np.concatenate(list(volume.frames[picked]), axis=-1)
    places = patch_places(smooth_fill(stacked, known), union, source)
    return [_filled(shot, found[index], index, box, union, places) for index in members]


def _volume(shot: Shot, box: Box, members: Sequence[int]) -> Volume:
    grids = [plates.grid_of(shot.places[index].matrix, box) for index in members]
    pairs = list(zip(members, grids, strict=True))
    frames = [
        cv2.remap(shot.encoded[i], grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for i, grid in pairs
    ]
    shows = [plates.shown(shot.shows[index], grid) for index, grid in pairs]
    holes = [~plates.shown(~shot.holes[index], grid, outside=True) for index, grid in pairs]
    return Volume(box, np.stack(frames), np.stack(shows), np.stack(holes))


def _restless(volume: Volume, grain: float) -> Region:
    """Where the stabilised background changes all the time; judged by its surroundings where it is never seen."""
    both = volume.shows[1:] & volume.shows[:-1]
    change = np.abs(np.diff(volume.frames, axis=0)).mean(axis=-1)
    count = both.sum(axis=0)
    mean = np.where(both, change, 0).sum(axis=0) / np.maximum(count, 1)
    level = np.where(volume.shows, volume.frames.mean(axis=-1), 0).sum(axis=0) / np.maximum(volume.shows.sum(axis=0), 1)
    slope = np.hypot(
        *(cv2.Sobel(level.astype(np.float32), cv2.CV_32F, *order, scale=0.125) for order in ((1, 0), (0, 1)))
    )
    beyond = np.maximum(mean - 1.2 * (grain if np.isfinite(grain) else 0) - EDGE_PX * slope, 0).astype(np.float32)
    known = count >= 2
    restless = (cv2.GaussianBlur(beyond, (0, 0), 1.0) > RESTLESS).astype(np.uint8)
    restless = cv2.morphologyEx(restless, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    around = smooth_fill(restless[..., None].astype(np.float32), known)[..., 0]
    moving: Region = np.where(known, restless > 0, cv2.GaussianBlur(around, (0, 0), 2.0) > LEANS)
    return moving


def _filled(
    shot: Shot, found: Found, index: int, box: Box, union: Region, places: NDArray[np.int64]
) -> tuple[Found, Region]:
    """A frame whose moving texture comes from elsewhere in itself."""
    hole = shot.holes[index]
    frame = plates.around(hole)
    own = plates.grid_of(np.asarray(np.linalg.inv(shot.places[index].matrix), np.float64), frame)
    column, row = np.rint(own[..., 0]).astype(int) - box.x0, np.rint(own[..., 1]).astype(int) - box.y0
    inside = (row >= 0) & (column >= 0) & (row < union.shape[0]) & (column < union.shape[1])
    row, column = row * inside, column * inside
    taken = inside & union[row, column] & hole[frame.slices]
    way = (places[row, column] - np.dstack([row, column]))[..., ::-1]
    there = cv2.perspectiveTransform((own + way).astype(np.float64), np.linalg.inv(shot.places[index].matrix))
    brought = plates.sampled(shot.encoded[index], there.astype(np.float32))
    taken &= plates.shown(shot.shows[index], there.astype(np.float32))
    pixels, missing, frames, moving = (
        found.pixels.copy(),
        found.missing.copy(),
        found.frames.copy(),
        np.zeros_like(hole),
    )
    pixels[frame.slices][taken] = brought[taken]
    missing[frame.slices] &= ~taken
    frames[frame.slices][taken] = 1
    moving[frame.slices] = taken
    return Found(pixels, missing, frames, found.grain), moving
