"""Pictures in and out of a model: their size, and arrays to latents and back."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from latensify_bridge.choices import Quality
from latensify_bridge.effects import Edit
from latensify_server.colour import Image
from latensify_server.diffusion.model import Model, decode, encode
from latensify_server.diffusion.sampling import noise

STILL = 0
"""Every frame gets the noise of this one, so that a locked-off shot does not boil."""

TEMPERATURE = 0.3
"""Noise is this much smaller than in training ("reduced-temperature" sampling; Kingma and Dhariwal, "Glow", 2018).
A source that is to be followed leaves little to chance: less noise gives cleaner, steadier edits, still of the seed."""


def steps_of(params: Edit) -> int:
    """Denoising steps of the whole schedule; draft takes half."""
    return params.num_inference_steps if params.quality is Quality.FINAL else (params.num_inference_steps + 1) // 2


def fitted(width: int, height: int, pixel_aspect: float, long_side: int, multiple: int) -> tuple[int, int]:
    """Width and height of the model's picture of a plate: square pixels, sides that the model takes, not enlarged."""
    square = width * pixel_aspect
    scale = min(1.0, long_side / max(square, height))
    return _multiple(square * scale, multiple), _multiple(height * scale, multiple)


def _multiple(length: float, multiple: int) -> int:
    return max(multiple, round(length / multiple) * multiple)


def resized(picture: Image, size: tuple[int, int]) -> Image:
    """A picture [height, width(, c)] at another (width, height): averaged when it shrinks, cubic when it grows."""
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    other: Image = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return other


def still_noise(model: Model, latents: Tensor, seed: int) -> Tensor:
    """The noise that an edit of latents [1, c, h, w] starts from: the same for every frame of that size."""
    return TEMPERATURE * noise(latents.shape[1:], seed, [STILL], model.device, model.dtype)


def latent_mask(model: Model, matte: Image, latents: Tensor) -> Tensor:
    """A matte [height, width] at the size of latents [n, c, h, w]: [1, 1, h, w], 1 in each cell that it touches."""
    rows, columns = latents.shape[-2] * model.factor, latents.shape[-1] * model.factor
    touched = cv2.resize((matte > 0).astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA) > 0
    mask = torch.from_numpy(touched.astype(np.float32))[None, None].to(model.device, model.dtype)
    return torch.nn.functional.max_pool2d(mask, model.factor)


def encode_picture(model: Model, display: Image) -> Tensor:
    """Latents [1, c, h/8, w/8] of a display-referred picture [h, w, 3]; what lies outside 0..1 is clipped."""
    clipped = np.ascontiguousarray(np.clip(display, 0, 1).transpose(2, 0, 1))
    return encode(model, torch.from_numpy(clipped)[None])


def decode_picture(model: Model, latents: Tensor) -> Image:
    """A display-referred picture [h, w, 3] in 0..1 of latents [1, c, h/8, w/8]."""
    picture = decode(model, latents)[0].permute(1, 2, 0).float().cpu().numpy()
    return np.ascontiguousarray(np.nan_to_num(picture, nan=0.0))
