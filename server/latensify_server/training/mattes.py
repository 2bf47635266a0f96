"""Mattes as people draw them: holes anywhere, what lies beyond an edge, an object with a margin around it."""

from __future__ import annotations

import cv2
import numpy as np

from latensify_server.training import looks
from latensify_server.training.looks import Image


def hole(width: int, height: int, rng: np.random.Generator) -> Image:
    """A random region to fill: boxes and blobs of a twentieth to a third of the picture, 0 or 1."""
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        half = (rng.uniform(0.08, 0.28, 2) * [width, height]).astype(int) + 3
        centre = (rng.uniform(0.1, 0.9, 2) * [width, height]).astype(int)
        if rng.random() < 0.4:
            cv2.rectangle(mask, (centre - half).tolist(), (centre + half).tolist(), 1.0, -1)
        else:
            cv2.ellipse(mask, centre.tolist(), half.tolist(), rng.uniform(0, 180), 0, 360, 1.0, -1)
    ragged = looks.fractal(height, width, rng, 0.15, 3) > rng.uniform(0.0, 0.35)
    return mask * ragged.astype(np.float32)


def margin(width: int, height: int, rng: np.random.Generator) -> Image:
    """What lies beyond the edge of a smaller frame: one side, or two that face each other; 0 or 1."""
    mask = np.ones((height, width), np.float32)
    first, second = rng.uniform(0.08, 0.35), rng.uniform(0.08, 0.35) * rng.integers(2)
    across = rng.random() < 0.65
    length = width if across else height
    kept = slice(round(first * length), length - round(second * length))
    mask[(slice(None), kept) if across else (kept, slice(None))] = 0
    return mask[::-1, ::-1].copy() if rng.random() < 0.5 else mask


def grown(mask: Image, rng: np.random.Generator) -> Image:
    """An object's mask with a margin, as a matte drawn around it would have; 0 or 1."""
    wider = int(rng.integers(1, 1 + max(2, mask.shape[0] // 14)))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * wider + 1,) * 2)
    return looks.floats(cv2.dilate((mask > 0.02).astype(np.float32), brush))
