"""What a person looks at while a model trains: contact sheets, and the curves as a plot."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderDC
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTokenizer

from latensify_server.training import loops, parts, photos, render, worlds
from latensify_server.training.looks import Image

HELD_OUT_SEED = 10**9
"""Worlds from this seed on are never trained on."""

PROMPTS = (
    "a red ball on grass, hills",
    "a blue box on sand, mountains, at sunset",
    "a yellow car on a road, city, at night",
    "a white house on grass, forest, in snow",
    "a green cone on a pavement, city, in fog",
    "a purple cylinder by water, plain, in rain",
)
EDITS = ("make it night", "make it snow", "thick fog", "watercolour painting", "golden hour, warm low sun")
STEPS, GUIDANCE = 12, 3.0


def signal(image: Image) -> Tensor:
    """A picture [h, w, 3] in 0..1 as the networks see it, [3, h, w] in -1..1, its sides cut to multiples of 8."""
    height, width = (side // parts.FACTOR * parts.FACTOR for side in image.shape[:2])
    return torch.from_numpy(np.ascontiguousarray(image[:height, :width])).permute(2, 0, 1).float() * 2 - 1


def picture(tensor: Tensor) -> Image:
    """[3, h, w] in -1..1 back to [h, w, 3] in 0..1."""
    return np.ascontiguousarray(tensor.float().cpu().mul(0.5).add(0.5).clamp(0, 1).permute(1, 2, 0).numpy())


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two pictures in -1..1."""
    return float(-10 * torch.log10(((a - b).float() / 2).square().mean().clamp_min(1e-12)))


def held_out(count: int) -> list[Image]:
    """Worlds and photographs that training does not see, 128x128."""
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + count)
    drawn = [render.draw(worlds.random_world(seed), 128, 128).image for seed in seeds]
    return drawn + photos.held_out(128, 128)


def write(file: Path, rows: list[list[Image]]) -> None:
    """Write rows of pictures of one size as a contact sheet."""
    sheet = np.vstack([np.hstack(row) for row in rows])
    pixels: NDArray[np.uint8] = (np.clip(sheet, 0, 1) * 255).astype(np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(file), pixels[..., ::-1]):
        raise OSError(f"The contact sheet can't be written to {file}.")


def watch_autoencoder(out: Path, ema: nn.ModuleDict, device: torch.device) -> Callable[[int], None]:
    """At a checkpoint: held-out pictures and their reconstructions, and how near those are (`vae-watch.csv`)."""
    images = held_out(10)

    @torch.no_grad()
    def watch(step: int) -> None:
        vae = ema["vae"]
        assert isinstance(vae, AutoencoderDC)
        truth = [signal(image).to(device) for image in images]
        rebuilt = [vae.decode(vae.encode(one[None]).latent).sample[0].clamp(-1, 1) for one in truth]
        values = [psnr(a, b) for a, b in zip(truth, rebuilt, strict=True)]
        worlds_psnr, photos_psnr = (round(float(np.mean(part)), 3) for part in (values[:10], values[10:]))
        loops.log(out / "vae-watch.csv", {"step": step, "psnr_worlds": worlds_psnr, "psnr_photos": photos_psnr})
        write(out / "sheets" / f"vae-{step:06d}.png", [images, [picture(one) for one in rebuilt]])
        plot(out)

    return watch


def watch_denoiser(
    out: Path, vae: AutoencoderDC, scale: float, ema: nn.ModuleDict, words: CLIPTokenizer
) -> Callable[[int], None]:
    """At a checkpoint: pictures of prompts, and edits of held-out pictures."""
    images = held_out(4)[:6]

    @torch.no_grad()
    def watch(step: int) -> None:
        device = next(ema.parameters()).device
        sources = torch.stack([signal(image) for image in images]).to(device)
        latents = vae.encode(sources).latent * scale
        made = sample(ema, words, list(PROMPTS), torch.zeros_like(latents))
        edited = [sample(ema, words, [text] * len(images), latents) for text in EDITS]
        rows = [vae.decode(one / scale).sample for one in (made, *edited)]
        pictures = [[picture(one) for one in row] for row in rows]
        write(out / "sheets" / f"denoiser-{step:06d}.png", [pictures[0], images, *pictures[1:]])
        plot(out)

    return watch


@torch.no_grad()
def sample(networks: nn.ModuleDict, words: CLIPTokenizer, texts: list[str], source: Tensor) -> Tensor:
    """Latents that the denoiser makes of prompts and sources [n, c, h, w], from the same noise each time."""
    scheduler = parts.scheduler()
    scheduler.set_timesteps(STEPS)
    noise = torch.randn(source.shape, generator=torch.Generator().manual_seed(0)).to(source.device)
    mask, latents = torch.ones_like(source[:, :1]), noise
    both = parts.tokens(words, [""] * len(texts) + texts).to(source.device)
    for time in scheduler.timesteps:
        stacked = torch.cat([latents, mask, source], 1)
        times = time.repeat(2 * len(texts)).to(source.device)
        away, towards = parts.predict(networks, torch.cat([stacked, stacked]), times, both).chunk(2)
        latents = scheduler.step(away + GUIDANCE * (towards - away), time, latents).prev_sample
    return latents


def plot(out: Path) -> None:
    """Draw every curve in `out` (its CSV files) into `out`/curves.png, a panel each, over minutes or steps."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    files = sorted(file for file in out.glob("*.csv"))
    if not files:
        return
    figure, panels = pyplot.subplots(1, len(files), figsize=(5 * len(files), 3.5), squeeze=False)
    for panel, file in zip(panels[0], files, strict=True):
        with file.open() as lines:
            rows = list(csv.DictReader(lines))
        for name in [name for name in rows[0] if name not in ("step", "seconds")]:
            panel.plot([float(row["step"]) for row in rows], [float(row[name]) for row in rows], label=name)
        panel.set(title=file.stem, xlabel="step", yscale="linear" if "psnr" in "".join(rows[0]) else "log")
        panel.legend()
    figure.tight_layout()
    figure.savefig(out / "curves.png", dpi=90)
    pyplot.close(figure)
