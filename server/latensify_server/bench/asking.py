"""A model asked as the effects ask it, one small picture at a time and with nothing composited after.

Pictures are [h, w, 3], sRGB in 0..1; masks [h, w] in 0..1, 1 where the picture may change.
"""

from __future__ import annotations

from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers

from latensify_bridge.effects import Restyle
from latensify_bridge.errors import ModelMissing
from latensify_server import models
from latensify_server.bench.measures import Picture
from latensify_server.diffusion import inversion, pictures, sampling
from latensify_server.diffusion import model as loading
from latensify_server.diffusion.model import Model

STEPS = Restyle().num_inference_steps
GUIDANCE = Restyle().guidance_scale
INVERSION_STEPS = STEPS

Mask = Picture


def folder_of(name: str) -> Path:
    """The folder of an installed model, or a folder named by its path. Raises ModelMissing."""
    if (Path(name) / models.INDEX).is_file():
        return Path(name)
    try:
        return models.find(name)
    except FileNotFoundError as error:
        raise ModelMissing(str(error)) from None


def load(folder: Path) -> Model:
    """The model in a folder, on the GPU where there is one, in 32-bit floats. Raises ModelMissing."""
    for library in (diffusers, transformers):  # what they say while loading is for developers
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    try:
        return loading.load(folder, "cuda" if torch.cuda.is_available() else "cpu")
    except (OSError, ValueError, KeyError) as error:
        raise ModelMissing(f"The model in {folder} cannot be loaded: {str(error).rstrip('.')}.") from error


def rebuilt(model: Model, picture: Picture) -> Picture:
    """The picture encoded and decoded."""
    return pictures.decode_picture(model, pictures.encode_picture(model, picture))


def generated(model: Model, prompt: str, seed: int, width: int, height: int) -> Picture:
    """A picture of nothing but its prompt: no source, full noise."""
    blank = pictures.encode_picture(model, np.zeros((height, width, 3), np.float32))
    source, mask = torch.zeros_like(blank), torch.ones_like(blank[:, :1])
    noise = sampling.noise(blank.shape[1:], seed, [0], model.device, model.dtype)
    edited = sampling.edit(model, source, mask, prompt, "", 1.0, GUIDANCE, STEPS, noise, _silent)
    return pictures.decode_picture(model, edited)


def edited(model: Model, picture: Picture, prompt: str, mask: Mask | None = None, seed: int = 0) -> Picture:
    """The picture edited by prompt: all of it, or in the latents that a mask touches. Nothing is put back after."""
    source = pictures.encode_picture(model, picture)
    where = torch.ones_like(source[:, :1]) if mask is None else pictures.latent_mask(model, mask, source)
    noise = pictures.still_noise(model, source, seed)
    changed = sampling.edit(model, source, where, prompt, "", 1.0, GUIDANCE, STEPS, noise, _silent)
    return pictures.decode_picture(model, changed)


def inversion_error(model: Model, picture: Picture, prompt: str, steps: int) -> float:
    """Relative error of the latents after DDIM inversion and back under the same prompt: 0 is exact."""
    latents = pictures.encode_picture(model, picture)
    noise = inversion.invert(model, latents, prompt, steps, _silent)
    source, mask = torch.zeros_like(latents), torch.ones_like(latents[:, :1])
    back = sampling.edit(model, source, mask, prompt, "", 1.0, 1.0, steps, noise, _silent)
    return float((back - latents).norm() / latents.norm())


def _silent(done: float) -> None:
    """Progress that nobody is told."""
