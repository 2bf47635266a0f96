"""Distances between pictures, all classical: nothing here is learned.

Pictures are float arrays [h, w, 3], sRGB in 0..1. A region is a boolean array [h, w]; None stands for everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Region = NDArray[np.bool_]
Flow = NDArray[np.float32]

EXACT_DB = 120.0
"""The PSNR told for pictures that do not differ, or by less than floats can say."""

SCALES = 3
QUANTILES = np.linspace(0.05, 0.95, 19)
FLOOR = 1 / 255
"""Contrast below one step of eight bits is no texture: it keeps the logarithm of a flat picture's finite."""

GREY = np.array([0.299, 0.587, 0.114], np.float32)


def psnr(a: Picture, b: Picture, region: Region | None = None) -> float:
    """Peak signal-to-noise ratio in dB, for a peak of 1, over a region.

    Raises:
        ValueError: the pictures differ in shape, or the region is empty.
    """
    error = squared_error(a, b, region)
    return EXACT_DB if error <= 10 ** (-EXACT_DB / 10) else float(-10 * np.log10(error))


def squared_error(a: Picture, b: Picture, region: Region | None = None) -> float:
    """Mean squared difference over a region and all channels.

    Raises:
        ValueError: the pictures differ in shape, or the region is empty.
    """
    if a.shape != b.shape:
        raise ValueError(f"Pictures of {a.shape} and {b.shape} can't be compared; bring them to one size first.")
    squared = np.square(a.astype(np.float64) - b.astype(np.float64))
    chosen = squared if region is None else squared[region]
    if not chosen.size:
        raise ValueError("Nothing can be compared over an empty region; leave such a picture out.")
    return float(chosen.mean())


def warped(picture: Picture, flow: Flow) -> Picture:
    """The picture seen where each pixel goes: out[y, x] = picture at (x, y) + flow[y, x], bilinear.

    Args:
        flow: [h, w, 2] in pixels, x right and y down.
    """
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved: Picture = cv2.remap(
        picture.astype(np.float32),
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return moved


def warp_error(frames: Sequence[Picture], flows: Sequence[Flow], visible: Sequence[Region]) -> float:
    """Flicker: mean squared difference of each frame and the next one brought back to it by the true motion.

    Lai et al., "Learning Blind Video Temporal Consistency", 2018. 0 for a shot whose surfaces keep their colours; the
    truth's own value is above 0 by resampling, noise and moving light, so compare with that.

    Args:
        frames: n pictures.
        flows: n - 1, from each frame to the next.
        visible: n - 1, where the surface seen in a frame is seen in the next one too.

    Raises:
        ValueError: the numbers do not fit, or no pixel of the shot is visible in two frames.
    """
    if not len(frames) - 1 == len(flows) == len(visible):
        raise ValueError(
            f"{len(frames)} frames need {len(frames) - 1} flows and as many regions; "
            f"{len(flows)} and {len(visible)} were given."
        )
    seen = [
        np.square(frame.astype(np.float64) - warped(after, flow))[region]
        for frame, after, flow, region in zip(frames[:-1], frames[1:], flows, visible, strict=True)
    ]
    every = np.concatenate(seen)
    if not every.size:
        raise ValueError("No pixel is visible in two frames, so that no warp error can be measured.")
    return float(every.mean())


def texture_distance(a: Picture, b: Picture, region: Region | None = None, region_b: Region | None = None) -> float:
    """How unlike two textures are, whatever their phase: 0 for the same, about 0.7 where one has twice the contrast.

    Strengths of oriented first derivatives (Freeman and Adelson, "The Design and Use of Steerable Filters", 1991), in
    four directions at three octaves, compared by their histograms (Heeger and Bergen, "Pyramid-Based Texture
    Analysis/Synthesis", 1995): the mean distance of the logarithms of 19 quantiles. A blurred texture scores high at
    fine octaves even where its PSNR is best.

    Args:
        region: of `a`, and of `b` too unless `region_b` is given.

    Raises:
        ValueError: a region is empty.
    """
    other = region if region_b is None else region_b
    distances = [np.abs(one - two).mean() for one, two in zip(_strengths(a, region), _strengths(b, other), strict=True)]
    return float(np.mean(distances))


def _strengths(picture: Picture, region: Region | None) -> list[NDArray[np.float64]]:
    """Logarithms of the quantiles of each filter's strength."""
    level = (picture.astype(np.float32) @ GREY).astype(np.float32)
    inside = np.ones(level.shape, np.float32) if region is None else region.astype(np.float32)
    if not inside.any():
        raise ValueError("The texture of an empty region can't be measured; leave such a picture out.")
    found = []
    for _ in range(SCALES):
        across, down = (cv2.Sobel(level, cv2.CV_32F, *order, ksize=3, scale=0.25) for order in ((1, 0), (0, 1)))
        chosen = inside > 0.5 if (inside > 0.5).any() else inside == inside.max()
        for angle in np.deg2rad([0, 45, 90, 135]):
            steered = np.abs(across * np.cos(angle) + down * np.sin(angle))[chosen]
            found.append(np.log(np.quantile(steered, QUANTILES) + FLOOR))
        level, inside = cv2.pyrDown(level), cv2.pyrDown(inside)
    return found
