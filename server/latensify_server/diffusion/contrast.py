"""Two ways to begin a patch fill, and a choice between them: the one whose contrast is more like its surroundings'.

A smooth beginning keeps structure and may end too smooth; one of scattered pixels ends richer and may lose structure.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.colour import Image
from latensify_server.diffusion.fill import Region
from latensify_server.diffusion.patches import patch_fill

OCTAVES = 3
QUANTILES = (0.25, 0.5, 0.75, 0.9)
FLOOR = 1 / 255
RING_PX = 12


def best_fill(picture: Image, hole: Region, usable: Region) -> Image:
    """A display-referred picture [h, w, 3] whose hole is made of patches from where it is usable (see patch_fill)."""
    fills = [patch_fill(picture, hole, usable=usable, scattered=scattered) for scattered in (False, True)]
    return min(fills, key=lambda filled: unlike_surroundings(filled, hole, usable))


def unlike_surroundings(picture: Image, hole: Region, usable: Region) -> float:
    """How far the contrast in a hole is from that around it: mean distance of logarithms; 0 when they are alike.

    Quantiles of the gradient at three octaves, after the texture statistics of Heeger and Bergen, "Pyramid-Based
    Texture Analysis/Synthesis" (1995). 0 where there are no surroundings to compare with.
    """
    size = 2 * RING_PX + 1
    ring = (cv2.dilate(hole.astype(np.uint8), np.ones((size, size), np.uint8)) > 0) & usable
    ring &= cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    inside, outside = _gradients(picture, hole), _gradients(picture, ring)
    pairs = [np.abs(one - other).mean() for one, other in zip(inside, outside, strict=False)]
    return float(np.mean(pairs)) if pairs else 0.0


def _gradients(picture: Image, region: Region) -> list[NDArray[np.float64]]:
    """Logarithms of quantiles of the gradient in a region, for each octave that still has some of it."""
    level = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)
    share = region.astype(np.float32)
    found = []
    for _ in range(OCTAVES):
        if not (share > 0.5).any():
            break
        across, down = (cv2.Sobel(level, cv2.CV_32F, *order, ksize=3, scale=0.25) for order in ((1, 0), (0, 1)))
        found.append(np.log(np.quantile(np.hypot(across, down)[share > 0.5], QUANTILES) + FLOOR))
        level, share = cv2.pyrDown(level), cv2.pyrDown(share)
    return found
