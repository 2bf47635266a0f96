"""Trains the `tiny` model that ships in the package: renders samples, trains the autoencoder, then the denoiser.

Everything is derived from the seed and the step; a run that was cut goes on where its last checkpoint left it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from diffusers import AutoencoderDC
from torch import Tensor, nn
from transformers import CLIPTokenizer

from latensify_server.training import data, loops, parts, pca, photos, shards, sheets
from latensify_server.training.worlds import stream

VAE_SHARE = 0.2
STANDS_IN = "Weights of the `tiny` model of Latensify, trained by `latensify train tiny`. Apache-2.0.\n"


@dataclass(frozen=True)
class Plan:
    """What to train.

    `out` takes shards, checkpoints, curves, sheets and the model folder. `minutes` is the training time of both
    networks over all runs; each also ends after its steps. `batch` pictures of 128x128 (fewer of larger ones) make a
    step of the denoiser.
    """

    out: Path
    minutes: float = 150.0
    vae_steps: int = 3000
    steps: int = 12_000
    sample_shards: int = 160
    batch: int = 32
    seed: int = 0
    denoiser: str = "unet"
    device: str = "cpu"
    threads: int = 1

    @property
    def shards(self) -> Path:
        return self.out / "shards"


def train_tiny(plan: Plan) -> Path:
    """Train the tiny model, or go on with it, and return its folder, `plan.out`/model."""
    loops.device_of(plan.device)
    plan.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    renderer = beside(shards.render, plan.shards, plan.sample_shards, plan.seed)
    vae, scale = _autoencoder(plan, renderer)
    encoder = beside(_encode, plan, renderer.pid)
    ema, words = _denoiser(plan, vae, scale, encoder)
    renderer.join()
    encoder.join()
    return export(plan.out, vae, scale, ema, words)


def beside(function: Callable[..., None], *arguments: object) -> BaseProcess:
    """The function at work in a process of its own, which ends with this one and gives way to it."""
    process = multiprocessing.get_context("spawn").Process(target=_gently, args=(function, *arguments), daemon=True)
    process.start()
    return process


def _gently(function: Callable[..., None], *arguments: object) -> None:
    os.nice(5)
    function(*arguments)


def _encode(plan: Plan, renderer: int) -> None:
    """Write the latents of all samples, with the autoencoder trained."""
    torch.set_num_threads(1)
    vae = parts.autoencoder()
    restore(vae, plan.out / "vae.pt", "vae")
    shards.encode(plan.shards, vae, plan.sample_shards, torch.device(plan.device), lambda: _runs(renderer))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def restore(network: nn.Module, checkpoint: Path, name: str) -> None:
    """Set a network to the averaged weights of a checkpoint."""
    saved = torch.load(checkpoint, weights_only=True)["ema"]
    network.load_state_dict({key.removeprefix(f"{name}."): v for key, v in saved.items() if key.startswith(f"{name}.")})


def _autoencoder(plan: Plan, renderer: BaseProcess) -> tuple[AutoencoderDC, float]:
    """The averaged autoencoder, and one over the spread of its latents."""
    torch.manual_seed(plan.seed)
    device = torch.device(plan.device)
    vae = parts.autoencoder()
    file = plan.out / "vae.pt"
    if not file.is_file():
        pca.start(vae, pictures(plan))
    networks = nn.ModuleDict({"vae": vae.to(device)})
    ema = deepcopy(networks).requires_grad_(False)
    crops = shards.Crops(plan.shards, plan.sample_shards, 96, 12, plan.seed, device, renderer.is_alive)
    loss = loops.autoencoder_loss(vae, crops, loops.seeded(plan.seed))
    budget = loops.Budget(plan.vae_steps, plan.minutes * 60 * VAE_SHARE)
    loops.train(file, networks, ema, loss, budget, 1.5e-4, sheets.watch_autoencoder(plan.out, ema, device))
    restore(vae, file, "vae")
    vae.eval().requires_grad_(False)
    with torch.no_grad():
        latents = torch.cat([vae.encode(crops(-1 - step)).latent.flatten() for step in range(12)])
    return vae, 1 / float(latents.std())


def pictures(plan: Plan) -> list[Tensor]:
    """What the autoencoder's start is computed from: the training photographs, whole and halved, and some worlds."""
    rng = stream(plan.seed, "start")
    views = [data.view(data.Canvas(128, 128), rng, photographic=0).image for _ in range(60)]
    found = [photos.photo(name) for name in photos.VIEWS]
    return [sheets.signal(image) for image in (*found, *(image[::2, ::2] for image in found), *views)]


def _denoiser(
    plan: Plan, vae: AutoencoderDC, scale: float, encoder: BaseProcess
) -> tuple[nn.ModuleDict, CLIPTokenizer]:
    """The averaged denoiser and text encoder, and the tokenizer."""
    torch.manual_seed(plan.seed + 1)
    device = torch.device(plan.device)
    words = parts.tokenizer(data.captions(plan.seed))
    networks = parts.networks(plan.denoiser, len(words)).to(device)
    ema = deepcopy(networks).requires_grad_(False)
    batches = shards.Latents(
        plan.shards, plan.sample_shards, plan.batch * shards.CELLS, scale, words, plan.seed, device, encoder.is_alive
    )
    loss = loops.denoiser_loss(networks, batches, loops.seeded(plan.seed + 2))
    budget = loops.Budget(plan.steps, plan.minutes * 60 * (1 - VAE_SHARE))
    watch = sheets.watch_denoiser(plan.out, vae, scale, ema, words)
    loops.train(plan.out / f"{plan.denoiser}.pt", networks, ema, loss, budget, 6e-4, watch)
    return ema, words


def export(out: Path, vae: AutoencoderDC, scale: float, ema: nn.ModuleDict, words: CLIPTokenizer) -> Path:
    """Write the model folder from trained parts; a model card beside it (`out`/README.md) goes in with it."""
    vae.register_to_config(scaling_factor=scale)
    card = out / "README.md"
    parts.save(out / "model", vae, ema, words, card.read_text() if card.is_file() else STANDS_IN)
    return out / "model"
