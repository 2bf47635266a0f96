"""A small diffusion model fitted to one shot: it fills holes in pictures of that shot, in pixels.

The folder is diffusers' own: `unet/` (UNet2DModel) and `scheduler/` (DDIMScheduler), weights as safetensors. The
denoiser sees the noisy picture, the picture with its hole greyed, and the hole, and predicts the clean picture
(Saharia et al., "Palette: Image-to-Image Diffusion Models", 2022). `training/shot.py` fits it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch import Tensor

from latensify_server.colour import Image
from latensify_server.diffusion import sampling
from latensify_server.diffusion.fill import Region

MULTIPLE = 8
"""Sides of a picture are multiples of this many pixels."""

LONG_SIDE = 96
"""Longest side of a picture that is filled; the crops it learned from are 64 pixels wide."""

INDEX = {
    "_class_name": "DiffusionPipeline",
    "unet": ["diffusers", "UNet2DModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
}


@dataclass(frozen=True)
class ShotModel:
    """A loaded fit."""

    unet: UNet2DModel
    scheduler: DDIMScheduler
    device: torch.device


def untrained() -> UNet2DModel:
    """A denoiser of 2.4 million parameters for pictures of RGB in -1..1."""
    return UNet2DModel(
        sample_size=64,
        in_channels=7,
        out_channels=3,
        block_out_channels=(32, 64, 96, 128),
        down_block_types=("DownBlock2D",) * 4,
        up_block_types=("UpBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=32,
    )


def scheduler() -> DDIMScheduler:
    """A schedule that ends in pure noise; the clean picture is predicted."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=True,
    )


def save(unet: UNet2DModel, folder: Path) -> None:
    """Writes the folder; the index comes last, so that a folder with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    unet.save_pretrained(folder / "unet", safe_serialization=True)
    scheduler().save_pretrained(folder / "scheduler")
    partial = folder / "model_index.partial"
    partial.write_text(json.dumps(INDEX, indent=2) + "\n")
    partial.rename(folder / "model_index.json")


def load(folder: Path, device: str = "cpu") -> ShotModel:
    """Loads a fit from disk alone, weights from safetensors alone, in 32-bit float.

    Raises:
        FileNotFoundError: the folder holds no finished fit.
    """
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{folder} holds no finished fit: press Fit to shot, or run `latensify train shot`.")
    unet = UNet2DModel.from_pretrained(folder, subfolder="unet", local_files_only=True, use_safetensors=True)
    steps = DDIMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
    return ShotModel(unet.to(device).eval().requires_grad_(False), steps, torch.device(device))


def condition(pictures: Tensor, holes: Tensor) -> Tensor:
    """What the denoiser sees beside the noise, [n, 4, h, w]: pictures in -1..1 greyed in their holes, and the holes."""
    return torch.cat([pictures * (1 - holes), holes], dim=1)


@torch.no_grad()
def paint(
    model: ShotModel,
    start: Image,
    hole: Region,
    strength: float,
    steps: int,
    seed: int,
    progress: Callable[[float], None],
) -> Image:
    """A picture with its hole painted, what lies around it unchanged.

    Args:
        start: display-referred [h, w, 3] in 0..1; sides are multiples of MULTIPLE. What its hole holds is where the
            painting starts (SDEdit; Meng et al., 2022).
        hole: [h, w].
        strength: 0..1, the part of the noise schedule gone through; at 1 nothing of the hole's start is kept.
        steps: of the whole schedule.
        seed: of the noise.
        progress: called with 0..1 after each step; may raise to cancel.
    """
    clean = torch.from_numpy(np.ascontiguousarray(start.transpose(2, 0, 1)))[None].to(model.device) * 2 - 1
    gap = torch.from_numpy(hole.astype(np.float32))[None, None].to(model.device)
    beside = condition(clean, gap)
    model.scheduler.set_timesteps(max(1, steps))
    timesteps = model.scheduler.timesteps[len(model.scheduler.timesteps) - round(strength * steps) :]
    if not len(timesteps):
        return start
    noise = sampling.noise(clean.shape[1:], seed, [0], model.device, torch.float32)
    noisy = model.scheduler.add_noise(clean, noise, timesteps[:1])
    for index, timestep in enumerate(timesteps):
        guess = model.unet(torch.cat([noisy, beside], dim=1), timestep).sample
        guess = torch.where(gap > 0, guess, clean)
        noisy = model.scheduler.step(guess, timestep, noisy).prev_sample
        progress((index + 1) / len(timesteps))
    painted = ((noisy[0].permute(1, 2, 0) + 1) / 2).clamp(0, 1).cpu().numpy()
    return np.where(hole[..., None], painted, start).astype(np.float32)
