"""Filling holes without a model: smoothly from all around, and the grain that a fill lacks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server import colour
from latensify_server.colour import Image

Region = NDArray[np.bool_]


def smooth_fill(values: Image, known: Region) -> Image:
    """Values [h, w, c] with what is not known filled smoothly: means of ever larger surroundings (Gortler et al.'s
    pull-push, "The Lumigraph", 1996). Zeros when nothing is known. Known values stay to the bit.
    """
    if known.all():
        return values
    weight = known.astype(np.float32)
    filled = _pull_push(np.where(known[..., None], values, 0).astype(np.float32), weight)
    return np.where(known[..., None], values, filled)


def _pull_push(values: Image, weight: Image) -> Image:
    """`values` are already multiplied by `weight`."""
    height, width = weight.shape
    if height == 1 and width == 1:
        return values / max(float(weight[0, 0]), 1e-12)
    size = ((width + 1) // 2, (height + 1) // 2)
    summed = np.dstack([values, weight])
    even = cv2.copyMakeBorder(summed, 0, height % 2, 0, width % 2, cv2.BORDER_REFLECT)
    less = cv2.resize(even, size, interpolation=cv2.INTER_AREA)
    coarse_weight = less[..., -1]
    full = np.minimum(1, coarse_weight * 4)
    ratio = np.divide(full, coarse_weight, out=np.zeros_like(full), where=coarse_weight > 0)
    coarse = _pull_push(less[..., :-1] * ratio[..., None], full)
    up = cv2.resize(coarse, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)[:height, :width]
    pushed: Image = values + up.reshape(values.shape) * (1 - weight)[..., None]
    return pushed


def grain_of(linear: Image, known: Region) -> NDArray[np.float32]:
    """Standard deviation of a plate's grain for each channel, in sRGB-encoded values, judged by its flattest parts."""
    encoded = colour.encode_srgb(linear)
    high = encoded - cv2.GaussianBlur(encoded, (0, 0), 1.5)
    return spread_of(high, cv2.erode(known.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)


def spread_of(values: Image, where: Region) -> NDArray[np.float32]:
    """Standard deviation of values [h, w, c] about 0 for each channel, judged by the quietest fifth of a region.

    Infinite (nothing is known of it) where the region is too small.
    """
    if where.sum() < 50:
        return np.full(values.shape[-1], np.inf, np.float32)
    share = cv2.blur(where.astype(np.float32), (7, 7))[..., None]
    energy = (cv2.blur(np.where(where[..., None], values * values, 0), (7, 7)) / np.maximum(share, 1e-6))[where]
    strength: NDArray[np.float32] = np.sqrt(np.quantile(energy, 0.2, axis=0)).astype(np.float32)
    return strength


def with_grain(linear: Image, where: Image, strength: NDArray[np.float32], seed: int, frame: int) -> Image:
    """Grain of that strength added where `where` [h, w] is 1: a function of the seed and the frame number alone."""
    noise = np.random.default_rng([seed, frame & 0xFFFFFFFF]).standard_normal(linear.shape, dtype=np.float32)
    return colour.decode_srgb(colour.encode_srgb(linear) + noise * strength * where[..., None])
