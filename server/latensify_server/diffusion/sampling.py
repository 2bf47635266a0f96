"""Sampling as pure functions: noise and progress are given, nothing is kept between calls.

Deterministic DDIM throughout (Song, Meng and Ermon, "Denoising Diffusion Implicit Models", 2021) on a schedule with
zero terminal SNR, v-prediction and trailing timesteps (Lin et al., "Common Diffusion Noise Schedules and Sample Steps
are Flawed", 2024). Frames are run one at a time, so that the bits of one do not depend on which others came along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from latensify_server.diffusion.attention import Glance
from latensify_server.diffusion.model import Model, denoise, embed

GUIDANCE_RESCALE = 0.5
Progress = Callable[[float], None]
Glances = Callable[[int, int], Glance | None]


def noise(shape: Sequence[int], seed: int, frames: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Standard normal noise [len(frames), *shape]: a function of (seed, frame number) alone, drawn on the CPU.

    Args:
        shape: of one frame, (channels, height, width) of the latents.
        frames: absolute frame numbers; give one number for all to hold the noise still.
    """
    drawn = [torch.randn(tuple(shape), generator=_generator(seed, frame)) for frame in frames]
    return torch.stack(drawn).to(device, dtype)


def _generator(seed: int, frame: int) -> torch.Generator:
    digest = hashlib.sha256(f"{seed} {frame}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@torch.no_grad()
def edit(
    model: Model,
    source: Tensor,
    mask: Tensor,
    prompt: str,
    negative_prompt: str,
    strength: float,
    guidance_scale: float,
    steps: int,
    noise: Tensor,
    progress: Progress,
    start: Tensor | None = None,
    image_guidance_scale: float = 1.0,
    glances: Glances | None = None,
) -> Tensor:
    """Edit latents by prompt: noise them partially, then denoise under the prompt with the source as condition.

    Partial noising is SDEdit (Meng et al., 2022); the source beside the noise is InstructPix2Pix (Brooks et al., 2023)
    and, with a mask, the inpainting form of latent diffusion (Rombach et al., 2022).

    Args:
        source: latents [n, c, h, w] the denoiser is conditioned on; zeros for text to image.
        mask: [n, 1, h, w], 1 where the picture is to change; all ones to restyle the whole frame.
        strength: 0..1, the part of the noise schedule gone through; at 1 nothing of `start` remains.
        guidance_scale: 1 is no guidance (Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022).
        steps: of the whole schedule; `strength` of them are run.
        noise: [n, c, h, w].
        progress: called with 0..1 after each step of each frame; may raise to cancel.
        start: latents that are noised; the source when None.
        image_guidance_scale: how closely the source is kept (InstructPix2Pix's second guidance); 1 is none and costs
            nothing.
        glances: at an anchor frame, by timestep and branch of the guidance; None for frames by themselves.

    Returns:
        Edited latents [n, c, h, w].
    """
    timesteps = schedule(model, steps)
    timesteps = timesteps[len(timesteps) - round(strength * len(timesteps)) :]
    if not timesteps:
        progress(1.0)
        return (source if start is None else start).clone()
    text = embed(model, [negative_prompt, prompt])
    begin = add_noise(model, source if start is None else start, noise, timesteps[0])
    done = 0
    edited = []
    for latents, one_mask, one_source in zip(begin.split(1), mask.split(1), source.split(1), strict=True):
        for now, after in zip(timesteps, [*timesteps[1:], -1], strict=True):
            scales = guidance_scale, image_guidance_scale
            prediction = guided(model, latents, now, one_mask, one_source, text, *scales, glances)
            latents = step(model, prediction, now, after, latents)
            done += 1
            progress(done / (len(timesteps) * len(source)))
        edited.append(latents)
    return torch.cat(edited)


def schedule(model: Model, steps: int) -> list[int]:
    """Timesteps, noisiest first, evenly spaced and ending the schedule ("trailing": the first is pure noise)."""
    total = model.scheduler.config.num_train_timesteps
    steps = max(1, min(steps, total))
    return [round(total - index * total / steps) - 1 for index in range(steps)]


def add_noise(model: Model, latents: Tensor, noise: Tensor, timestep: int) -> Tensor:
    """Latents as the forward process would have them at `timestep`."""
    signal, sigma = levels(model, timestep)
    return latents * signal + noise * sigma


def step(model: Model, prediction: Tensor, now: int, after: int, latents: Tensor) -> Tensor:
    """One deterministic DDIM step from timestep `now` to `after`; -1 stands for the clean latents."""
    clean, residue = split(model, prediction, now, latents)
    signal, sigma = levels(model, after)
    return clean * signal + residue * sigma


def guided(
    model: Model,
    latents: Tensor,
    timestep: int,
    mask: Tensor,
    source: Tensor,
    text: Tensor,
    scale: float,
    image_scale: float = 1.0,
    glances: Glances | None = None,
) -> Tensor:
    """Prediction for one frame under guidance; `text` is [2, tokens, width], negative then positive.

    `image_scale` leads away from what the model would say without a source (Brooks et al., 2023, 3.2.1). The guided
    prediction's spread is brought part of the way back to the unguided one's (Lin et al., 2024, 3.4).
    """
    look = glances or (lambda timestep, branch: None)
    if scale == 1 and image_scale == 1:
        return denoise(model, latents, timestep, mask, source, text[1:], look(timestep, 1))
    away, towards = (
        denoise(model, latents, timestep, mask, source, one, look(timestep, branch))
        for branch, one in enumerate(text.split(1))
    )
    mixed = away + (towards - away) * scale
    if image_scale != 1:
        sourceless = denoise(model, latents, timestep, torch.ones_like(mask), torch.zeros_like(source), text[:1])
        mixed = mixed + (away - sourceless) * (image_scale - 1)
    return mixed * (GUIDANCE_RESCALE * towards.std() / mixed.std() + 1 - GUIDANCE_RESCALE)


def levels(model: Model, timestep: int) -> tuple[float, float]:
    """Parts of signal and of noise at a timestep: square roots of alpha-bar and of one minus alpha-bar."""
    kept = 1.0 if timestep < 0 else float(model.scheduler.alphas_cumprod[timestep])
    return kept**0.5, (1 - kept) ** 0.5


def split(model: Model, prediction: Tensor, timestep: int, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Clean latents and noise implied by a prediction (v: Salimans and Ho, "Progressive Distillation", 2022)."""
    signal, sigma = levels(model, timestep)
    kind = model.scheduler.config.prediction_type
    if kind == "v_prediction":
        return latents * signal - prediction * sigma, latents * sigma + prediction * signal
    if kind == "sample":
        return prediction, (latents - prediction * signal) / sigma
    return (latents - prediction * sigma) / signal, prediction
