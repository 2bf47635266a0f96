"""What no frame shows: filled with patches of its surroundings, painted by the model from there, and textured again.

Each hole gets a picture of its own surroundings, so that the model's few pixels are spent where they count. Around the
hole the model's picture is compared with the plate, and the difference carried smoothly into it: no seam is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from latensify_bridge.choices import Quality
from latensify_bridge.effects import Remove
from latensify_bridge.frames import Box
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import pictures, sampling, shot_model
from latensify_server.diffusion.contrast import best_fill
from latensify_server.diffusion.fill import Region, smooth_fill
from latensify_server.diffusion.matte import box_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.patches import patch_fill
from latensify_server.diffusion.transfer import transfer

LONG_SIDE = {Quality.FINAL: 256, Quality.DRAFT: 160}
CONTEXT = 0.75
"""Surroundings on each side of a hole, as a part of its longer side; the model learned holes up to a third."""

CONTEXT_PX = 24
SLIVER_PX = 3.0
"""A hole nowhere wider than about twice this is filled smoothly: a model would see a fraction of one latent."""

APART_PX = 16
TEXTURED_LEVELS = 3
"""Where no prompt asks for anything else, the model's painting, at a quarter of its size, is redrawn with patches."""


Report = Callable[[float], None]
Imagine = Callable[[Image, Region, Report], Image]
"""A model at work: a display-referred picture [h, w, 3] whose hole holds a start, painted anew, as large as it was."""


@dataclass(frozen=True)
class Painter:
    """Fills holes under the parameters of Remove: with patches, and then by what imagines, if anything does.

    `report` is told 0..1 within each hole, and may raise.
    """

    params: Remove
    imagine: Imagine | None
    report: Report

    def fill(self, linear: Image, hole: Region, usable: Region | None = None) -> Image:
        """A scene-linear picture [height, width, 3] with its hole filled; nothing else changes.

        `usable` [height, width] is where patches may be taken from, outside the hole; everywhere when None.
        """
        if not hole.any():
            return linear
        filled = linear.copy()
        for part in _parts(hole):
            box = _around(part, hole.shape)
            piece = filled[box.slices]
            known = ~hole[box.slices]
            fit = known if usable is None else known & usable[box.slices]
            display = colour.to_display(piece)
            inside = part[box.slices]
            painted = self._painted(display, known, fit, inside)
            brightest = piece[fit].max() if fit.any() else 1.0
            piece[inside] = np.minimum(colour.from_display(painted), brightest)[inside]
        return filled

    def _painted(self, display: Image, known: Region, usable: Region, hole: Region) -> Image:
        half_width_px = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max()
        if half_width_px < SLIVER_PX or not usable.any():
            return smooth_fill(display, known)
        start = best_fill(display, ~known, usable)
        if self.imagine is None:
            return start
        painted = self.imagine(start, hole, self.report)
        painted = painted + smooth_fill(start - painted, known)
        if self.params.text():
            return painted
        return patch_fill(display, ~known, np.clip(painted, 0, 1), TEXTURED_LEVELS, usable)


def imagined(model: Model, params: Remove) -> Imagine:
    """The large model at work under the parameters of Remove."""

    def imagine(start: Image, hole: Region, report: Report) -> Image:
        seen, made = _edited(model, params, start, hole, report)
        return colour.to_display(transfer(colour.from_display(start), seen, made, params.detail))

    return imagine


def fitted(folder: Path, device: str, params: Remove) -> Imagine:
    """The model that was fitted to the shot at work; its picture is small, and enlarged."""
    model = shot_model.load(folder, device)

    def imagine(start: Image, hole: Region, report: Report) -> Image:
        height, width = hole.shape
        size = pictures.fitted(width, height, 1.0, shot_model.LONG_SIDE, shot_model.MULTIPLE)
        begin = np.clip(pictures.resized(start, size), 0, 1)
        gap = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        steps = pictures.steps_of(params)
        made = shot_model.paint(model, begin, gap, params.strength, steps, params.seed, report)
        change = cv2.resize(made - begin, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(start + change, np.float32)

    return imagine


@torch.no_grad()
def _edited(model: Model, params: Remove, start: Image, hole: Region, report: Report) -> tuple[Image, Image]:
    """A filled picture at model size as the model sees it, and as it paints it anew."""
    height, width = hole.shape
    size = pictures.fitted(width, height, 1.0, LONG_SIDE[params.quality], model.multiple)
    begin = np.clip(pictures.resized(start, size), 0, 1)
    gap = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    source = pictures.encode_picture(model, np.where(gap[..., None], np.float32(0.5), begin))
    mask = torch.from_numpy(gap.astype(np.float32))[None, None].to(model.device, model.dtype)
    mask = torch.nn.functional.max_pool2d(mask, model.factor)
    latents = pictures.encode_picture(model, begin)
    text = params.text()
    edited = sampling.edit(
        model,
        source,
        mask,
        text,
        params.negative_prompt,
        params.strength,
        params.guidance_scale if text != params.negative_prompt else 1.0,
        pictures.steps_of(params),
        pictures.still_noise(model, source, params.seed),
        report,
        start=latents,
    )
    return pictures.decode_picture(model, latents), pictures.decode_picture(model, edited)


def _parts(hole: Region) -> list[Region]:
    """A hole's separate parts, largest first; what lies close together is one."""
    joined = cv2.dilate(hole.astype(np.uint8), np.ones((APART_PX, APART_PX), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    parts = [hole & (labels == label) for label in range(1, count)]
    return sorted(parts, key=lambda part: -int(part.sum()))


def _around(part: Region, shape: tuple[int, ...]) -> Box:
    """The box of a part with its surroundings, inside the frame."""
    box = box_of(part)
    margin = CONTEXT_PX + round(CONTEXT * max(box.width, box.height))
    x0, y0 = max(0, box.x0 - margin), max(0, box.y0 - margin)
    x1, y1 = min(shape[1], box.x0 + box.width + margin), min(shape[0], box.y0 + box.height + margin)
    return Box(x0, y0, x1 - x0, y1 - y0)
