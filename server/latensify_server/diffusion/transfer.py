"""Carries an edit made on a small display-referred picture over to the full-resolution HDR plate.

What the autoencoder and the reduction lost is put back. Around every pixel the edit is described as an affine map of
the source's colours (the guided filter of He, Sun and Tang, 2013, in its fast form, with a 3x3 colour matrix); the
plate's own residual goes through the same map. So plate detail darkens, greys or vanishes (under snow, say) as the
edit does. Where a neighbourhood is too flat to tell, the map falls back to the one that fits the whole picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from latensify_server import colour
from latensify_server.colour import Image

RADIUS = 0.02
"""Of the guided filter, as a part of the picture's smaller side."""

FLATNESS = 0.015
"""Standard deviation in display values below which a neighbourhood counts as flat."""

SLOPE = 1.5
"""No colour of the plate's detail is amplified more than this, lest grain in brightened shadows shows."""


def transfer(linear: Image, seen: Image, edited: Image, detail: float) -> Image:
    """The edited plate, scene-linear.

    Args:
        linear: the plate, scene-linear Rec.709 [height, width, 3].
        seen: what the model sees in the plate: decode(encode(plate)), display-referred [h, w, 3] at model size.
        edited: what it made of it, likewise.
        detail: 0..1, how much of the plate's own detail and highlight range is kept. At 1 an edit that changes nothing
            gives the plate back; at 0 the model's own pixels are shown.
    """
    height, width = linear.shape[:2]
    size = (width, height)
    ranges = colour.highlight_range(linear)
    plate = colour.encode_srgb(linear / ranges[..., None])
    shown = cv2.resize(edited, size, interpolation=cv2.INTER_CUBIC)
    if detail > 0:
        matrix, offset = local_map(seen, edited)
        kept = cv2.resize(_applied(matrix, seen) + offset, size, interpolation=cv2.INTER_CUBIC)
        shown += np.float32(detail) * (_upsampled(matrix, plate) + cv2.resize(offset, size) - kept)
    return colour.decode_srgb(shown) * (1 + np.float32(detail) * (ranges - 1))[..., None]


def local_map(seen: Image, edited: Image) -> tuple[Image, Image]:
    """The affine map from `seen` to `edited` around each pixel: matrices [h, w, 3, 3] and offsets [h, w, 3]."""
    whole, shift = _global_map(seen, edited)
    rest = edited - (seen @ whole.T + shift)
    radius = max(2, round(RADIUS * min(seen.shape[:2])))
    mean, mean_rest = _mean(seen, radius), _mean(rest, radius)
    products = (seen[..., :, None] * seen[..., None, :]).reshape(*seen.shape[:2], 9)
    crossed = (rest[..., :, None] * seen[..., None, :]).reshape(*seen.shape[:2], 9)
    spread = _mean(products, radius).reshape(*seen.shape[:2], 3, 3) - mean[..., :, None] * mean[..., None, :]
    joint = _mean(crossed, radius).reshape(*seen.shape[:2], 3, 3) - mean_rest[..., :, None] * mean[..., None, :]
    spread += np.eye(3, dtype=np.float32) * FLATNESS**2
    local: Image = np.linalg.solve(spread, joint.swapaxes(-1, -2)).swapaxes(-1, -2).astype(np.float32)
    matrix = _bounded(local + whole)
    offset = mean_rest + shift + _applied(whole - matrix, mean)
    smooth = _mean(matrix.reshape(*seen.shape[:2], 9), radius).reshape(matrix.shape)
    return smooth, _mean(offset, radius)


def _global_map(seen: Image, edited: Image) -> tuple[Image, Image]:
    """The least-squares affine map over the whole picture, drawn a little towards a common gain."""
    flat, target = seen.reshape(-1, 3).astype(np.float64), edited.reshape(-1, 3).astype(np.float64)
    centre, centre_target = flat.mean(axis=0), target.mean(axis=0)
    flat, target = flat - centre, target - centre_target
    spread = flat.T @ flat / len(flat) + np.eye(3) * FLATNESS**2
    gain = np.clip((centre_target.mean() + 0.05) / (centre.mean() + 0.05), 0, 1)
    matrix = np.linalg.solve(spread, flat.T @ target / len(flat) + np.eye(3) * gain * FLATNESS**2).T
    return matrix.astype(np.float32), (centre_target - matrix @ centre).astype(np.float32)


def _bounded(matrix: Image) -> Image:
    """Matrices whose rows sum to no more than the greatest slope in absolute value."""
    total = np.abs(matrix).sum(axis=-1, keepdims=True)
    bounded: Image = matrix * np.minimum(1, SLOPE / np.maximum(total, 1e-6)).astype(np.float32)
    return bounded


def _mean(values: Image, radius: int) -> Image:
    mean: Image = cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)
    return mean


def _applied(matrix: Image, values: Image) -> Image:
    applied: Image = (matrix @ values[..., None])[..., 0]
    return applied


def _upsampled(matrix: Image, plate: Image) -> Image:
    """Matrices of model size applied to a full-resolution plate, one entry at a time to spare memory."""
    out = np.zeros_like(plate)
    for row in range(3):
        for column in range(3):
            entry = cv2.resize(np.ascontiguousarray(matrix[..., row, column]), plate.shape[1::-1])
            out[..., row] += entry * plate[..., column]
    return out
