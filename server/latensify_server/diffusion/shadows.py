"""What changes with an object outside its matte: its shadow, its reflection.

A wide surrounding of the matte is compared with what most frames show there. What differs beyond grain and hangs
together with the matte belongs to the object: the background stands still, and the difference comes and goes with it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server import colour
from latensify_server.diffusion import clean_plate as plates
from latensify_server.diffusion.clean_plate import Shot
from latensify_server.diffusion.fill import Region
from latensify_server.diffusion.matte import box_of

REACH = 1.0
"""How far from the matte shadows are looked for, as a part of its longer side."""

SMOOTH_PX = 2.0
"""Differences are averaged so: edges that lie a little off cancel out, a shade does not."""

CORE, RIM = 0.035, 0.012
"""Differences in encoded values that a shadow has within, and at its rim."""

GRAINS = 1.0
SEEN_BY = 3
"""Fewest frames that must show a pixel, lest a passer-by counts as the background."""

SOFT_PX = 3


def shadow_of(shot: Shot, index: int) -> Region:
    """Where in one frame [h, w], outside its hole, something differs that goes with the object."""
    hole = shot.holes[index]
    nothing = np.zeros_like(hole)
    if not hole.any() or len(shot.linear) < SEEN_BY + 1:
        return nothing
    box = box_of(hole)
    reach_px = round(REACH * max(box.width, box.height))
    wide = cv2.dilate(hole.astype(np.uint8), _disc(reach_px)) > 0
    found = plates.clean_plate(_with_hole(shot, index, wide), index)
    known = wide & ~hole & ~found.missing & (found.frames >= SEEN_BY - 0.5)
    difference = np.where(known[..., None], shot.encoded[index] - colour.encode_srgb(found.pixels), 0).mean(axis=-1)
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), SMOOTH_PX)
    smooth = np.abs(cv2.GaussianBlur(difference.astype(np.float32), (0, 0), SMOOTH_PX)) / np.maximum(weight, 1e-3)
    floor = GRAINS * float(np.max(found.grain)) if np.isfinite(found.grain).all() else 0.0
    return _hanging_on(known & (smooth > RIM + floor), known & (smooth > CORE + floor), hole)


def _with_hole(shot: Shot, index: int, hole: Region) -> Shot:
    holes = tuple(hole if number == index else one for number, one in enumerate(shot.holes))
    return Shot(shot.linear, shot.encoded, holes, shot.shows, shot.motion, shot.places)


def _hanging_on(weak: Region, strong: Region, hole: Region) -> Region:
    """The weak parts that hold a strong one and touch the hole, a little grown."""
    joined = weak | hole
    count, labels = cv2.connectedComponents(joined.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, bool)
    touching = np.unique(labels[cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0])
    kept[touching] = True
    kept[0] = False
    # thin threads of difference lead anywhere: what hangs on must be broad
    part = (kept[labels] & weak).astype(np.uint8)
    part = cv2.morphologyEx(part, cv2.MORPH_OPEN, _disc(2))
    count, labels = cv2.connectedComponents(part)
    holding = np.unique(labels[strong & (part > 0)])
    grown = cv2.dilate(np.isin(labels, holding[holding > 0]).astype(np.uint8), _disc(SOFT_PX)) > 0
    outside: Region = grown & ~hole
    return outside


def _disc(radius: int) -> NDArray[np.uint8]:
    shape: NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return shape
