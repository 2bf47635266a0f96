"""A made shot whose truth is known: a slow pan and zoom over a photograph, an object in front, its matte."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage import data

from latensify_bridge.frames import Pixels
from latensify_server import colour
from latensify_server.engine import Plate

from .conftest import rgba

WIDTH, HEIGHT = 160, 112


@dataclass(frozen=True)
class Shot:
    """Plates in linear Rec.709 with mattes, and what is behind the object, sRGB-encoded."""

    plates: tuple[Plate, ...]
    truth: tuple[Pixels, ...]


def pan(count: int = 8, moves: bool = True, camera: bool = True, gain: float = 1.0) -> Shot:
    """`moves`: the object crosses the background, so that other frames show it all; else it is fixed to the background.

    Odd frames are exposed `gain` times brighter.
    """
    photo = cv2.GaussianBlur(data.astronaut().astype(np.float32) / 255, (0, 0), 1.0)
    plates, truths = [], []
    for index in range(count):
        pace = index if camera else 0
        zoom = 1.4 / (1 + 0.004 * pace)
        view = np.array([[zoom, 0, 90 + 4.3 * pace], [0, zoom, 150 + 1.7 * pace]])
        truth = cv2.warpAffine(photo, view, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        truth = np.clip(truth, 0.01, 1)
        centre = (
            (30 + 13 * index, 60) if moves else (round((270 - view[0, 2]) / zoom), round((240 - view[1, 2]) / zoom))
        )
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.ellipse(mask, centre, (11, 20), 0, 0, 360, 1, -1)
        checks = ((np.indices(mask.shape).sum(axis=0) // 5) % 2)[..., None] * np.float32([0.9, 0.2, 0.1])
        linear = colour.decode_srgb(np.where(mask[..., None] > 0, checks, truth).astype(np.float32))
        linear *= np.float32(gain if index % 2 else 1.0)
        plates.append(Plate(1001 + index, rgba(linear), mask.astype(np.float32)))
        truths.append(colour.encode_srgb(colour.decode_srgb(truth) * np.float32(gain if index % 2 else 1.0)))
    return Shot(tuple(plates), tuple(truths))


def psnr(a: Pixels, b: Pixels) -> float:
    """Of sRGB-encoded pixels, in dB."""
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


def classical(plate: Plate, hole: Pixels) -> Pixels:
    """OpenCV's Telea inpainting of one frame, sRGB-encoded: what a single frame allows."""
    shown = np.rint(np.clip(colour.encode_srgb(plate.pixels[..., :3]), 0, 1) * 255).astype(np.uint8)
    return cv2.inpaint(shown, (hole > 0).astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(np.float32) / 255
