"""Mattes: grown, shrunk and feathered, and the box that holds what is left.

Distances are exact and Euclidean (Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions", 2012).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_bridge.frames import Box
from latensify_server.engine import Plate, ShotFit, WindowEdit

Matte = NDArray[np.float32]
EDGE = 0.5
"""Where the edge of a soft matte is taken to be when a distance to it is needed."""


def matte_of(plate: Plate, work: WindowEdit | ShotFit) -> Matte:
    """The matte of one plate [height, width] in 0..1, grown and feathered; ones without a mask."""
    return feather(drawn(plate, work), work.params.mask_feather * work.render_scale)


def drawn(plate: Plate, work: WindowEdit | ShotFit) -> Matte:
    """The matte before it is feathered: what the mask covers, grown."""
    if plate.mask is None:
        return np.ones(plate.pixels.shape[:2], np.float32)
    mask = np.clip(np.nan_to_num(plate.mask.astype(np.float32), nan=0.0), 0, 1)
    return grow(mask, work.params.mask_grow * work.render_scale)


def grow(mask: Matte, pixels: float) -> Matte:
    """A matte grown by so many pixels, or shrunk by a negative number; where it was soft it stays so."""
    core = mask >= EDGE
    if pixels == 0 or not core.any():
        return mask
    if pixels > 0:
        larger: Matte = np.maximum(mask, np.clip(pixels + 1 - _distance_to(core), 0, 1))
        return larger
    if core.all():
        return mask
    smaller: Matte = np.minimum(mask, np.clip(_distance_to(~core) + pixels, 0, 1))
    return smaller


def feather(mask: Matte, pixels: float) -> Matte:
    """A matte with a smooth fall outwards over so many pixels; 0 beyond, and nowhere less than it was."""
    core = mask >= EDGE
    if pixels == 0 or not core.any():
        return mask
    fall = np.clip(1 - _distance_to(core) / np.float32(pixels + 1), 0, 1)
    soft: Matte = np.maximum(mask, fall * fall * (3 - 2 * fall))
    return soft


def box_of(matte: NDArray[np.generic]) -> Box:
    """The smallest box that holds everything that is not 0; empty when all is."""
    rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
    if not len(rows):
        return Box(0, 0, 0, 0)
    return Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))


def _distance_to(region: NDArray[np.bool_]) -> Matte:
    """Pixels from each pixel's centre to the nearest one of the region; 0 inside."""
    distance: Matte = cv2.distanceTransform((~region).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance
