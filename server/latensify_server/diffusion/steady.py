"""Steadies an edit over the frames of a window: what it changes is averaged along the motion of the source.

The change (edited minus seen) of each neighbour is brought over by optical flow between the pictures as the model sees
them, and counts as far as the pictures agree there. Weights are fixed, so a frame depends on its window alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from latensify_server.colour import Image
from latensify_server.diffusion.motion import Grey

WEIGHTS = {0: 1.0, 1: 0.75, 2: 0.4}
AGREEMENT = 0.06
"""Difference of two frames, in display values, at which a neighbour's say has fallen to 1/e."""


@dataclass(frozen=True)
class Pair:
    """A frame at model size: what the model sees in it, and what it makes of it; display-referred [h, w, 3]."""

    seen: Image
    edited: Image


def steadied(pairs: Sequence[Pair], index: int) -> Image:
    """The edited picture of one frame with its change averaged over its neighbours in the window."""
    own = pairs[index]
    total = np.full(own.seen.shape[:2], WEIGHTS[0], np.float32)
    summed = (own.edited - own.seen) * WEIGHTS[0]
    for distance, weight in WEIGHTS.items():
        for other in (index - distance, index + distance) if distance else ():
            if 0 <= other < len(pairs):
                change, say = _brought(pairs[other], own)
                total += np.float32(weight) * say
                summed += change * (np.float32(weight) * say)[..., None]
    return np.clip(own.seen + summed / total[..., None], 0, 1)


def _brought(other: Pair, own: Pair) -> tuple[Image, Image]:
    """Another frame's change as this one would have it, and how far the two agree [h, w] in 0..1."""
    height, width = own.seen.shape[:2]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(_grey(own.seen), _grey(other.seen), None)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    grid = np.stack([x, y], axis=-1) + flow
    seen = cv2.remap(other.seen, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    change = cv2.remap(other.edited - other.seen, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (grid >= 0).all(axis=-1) & (grid[..., 0] <= width - 1) & (grid[..., 1] <= height - 1)
    difference = cv2.blur(np.abs(seen - own.seen).mean(axis=-1), (5, 5))
    say = np.exp(-((difference / AGREEMENT) ** 2)) * inside
    return change, say.astype(np.float32)


def _grey(picture: Image) -> Grey:
    grey: Grey = np.rint(cv2.cvtColor(np.clip(picture, 0, 1), cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8)
    return grey
