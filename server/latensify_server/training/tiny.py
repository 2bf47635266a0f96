"""Trains the `tiny` model that ships in the package: renders samples, trains the autoencoder, then the denoiser.

    python -m latensify_server.training.tiny --out build/train --minutes 80

Everything is derived from the seed; a run that was cut goes on where its last checkpoint left it. One thread with bf16
autocast was the fastest form measured on a CPU without AMX.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import time
from collections.abc import Callable
from copy import deepcopy
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from latensify_server.training import data, loops, parts, shards
from latensify_server.training.scenes import stream

VAE_SHARE = 0.34
FIRST_SHARDS = 4
STANDS_IN = (
    "Weights of the `tiny` model of Latensify, trained by `python -m latensify_server.training.tiny`. Apache-2.0.\n"
)


def train_tiny(
    out: Path,
    vae_steps: int = 4000,
    steps: int = 8000,
    sample_shards: int = 64,
    seed: int = 0,
    minutes: float = 80.0,
    resume: bool = True,
) -> Path:
    """Train the tiny model and return its folder, `out`/model.

    Args:
        out: where shards, checkpoints, curves (CSV) and the model folder go.
        vae_steps: most steps of the autoencoder; it also stops after its share of `minutes`.
        steps: most steps of the denoiser; it also stops when `minutes` are used.
        sample_shards: how many shards of 250 samples are rendered.
        seed: of the data, the initial weights and the noise.
        minutes: training time of both loops, over all runs.
        resume: go on from checkpoints in `out`; otherwise they are removed first.
    """
    if not resume and out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    folder, first = out / "shards", min(FIRST_SHARDS, sample_shards)
    renderer = _beside(shards.render, (folder, sample_shards, seed))
    _await(renderer, folder, "pixels", first)
    scale = _autoencoder(out, loops.Budget(vae_steps, minutes * 60 * VAE_SHARE), seed)
    renderer.join()
    _await(_beside(shards.encode, (folder, out / "vae.pt", sample_shards)), folder, "latents", 2 * first)
    refiner = _beside(refine, (out, loops.Budget(vae_steps, minutes * 60 * (1 - VAE_SHARE)), seed))
    ema, words = _denoiser(out, scale, loops.Budget(steps, minutes * 60 * (1 - VAE_SHARE)), seed)
    refiner.join()
    return export(out, scale, ema, words)


def _beside(function: Callable[..., None], arguments: tuple[object, ...]) -> BaseProcess:
    """The function at work in a process of its own, which ends with this one."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def _await(process: BaseProcess, folder: Path, kind: str, count: int) -> None:
    """Wait until `count` shards of a kind are there, or all that the process makes."""
    while len(shards.ready(folder, kind)) < count and process.is_alive():
        time.sleep(0.5)
    if process.exitcode:
        raise RuntimeError(f"Making the {kind} of the training samples failed; the message stands above.")


def _autoencoder(out: Path, budget: loops.Budget, seed: int) -> float:
    """Train the autoencoder; its scaling factor, one over the latents' spread."""
    networks, vae = _vae()
    folder, noise = out / "shards", torch.Generator().manual_seed(seed)
    batches = shards.crops(folder, 80, 10, stream(seed, "crops"))
    loops.train(out / "vae.pt", networks, loops.autoencoder_loss(vae, batches, noise), budget, 5e-4)
    vae.eval().requires_grad_(False)
    probe = shards.crops(folder, 96, 12, stream(seed, "scale"))
    return 1 / float(torch.cat([vae.encode(next(probe)).latent_dist.mode() for _ in range(12)]).std())


def refine(out: Path, budget: loops.Budget, seed: int) -> None:
    """Train the decoder on, in a process beside the denoiser's, while the encoder stays as the latents need it."""
    torch.set_num_threads(1)
    networks, vae = _vae()
    networks.load_state_dict(torch.load(out / "vae.pt", weights_only=True)["networks"])
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    batches = shards.crops(out / "shards", 96, 8, stream(seed, "refining crops"))
    noise = torch.Generator().manual_seed(seed + 3)
    loops.train(out / "decoder.pt", networks, loops.autoencoder_loss(vae, batches, noise), budget, 5e-4)


def _vae() -> tuple[nn.ModuleDict, AutoencoderKL]:
    networks = nn.ModuleDict({"vae": parts.autoencoder()})
    vae = networks["vae"]
    assert isinstance(vae, AutoencoderKL)
    return networks, vae


def _denoiser(out: Path, scale: float, budget: loops.Budget, seed: int) -> tuple[nn.ModuleDict, CLIPTokenizer]:
    """The averaged denoiser and text encoder, and the tokenizer."""
    torch.manual_seed(seed + 1)
    words = parts.tokenizer(data.captions(seed))
    networks = nn.ModuleDict({"unet": parts.denoiser(), "text_encoder": parts.text_encoder(len(words))})
    ema = deepcopy(networks).requires_grad_(False)
    loss = loops.denoiser_loss(
        networks, words, out / "shards", scale, 32, stream(seed, "batches"), torch.Generator().manual_seed(seed + 2)
    )
    loops.train(out / "denoiser.pt", networks, loss, budget, 6e-4, ema=ema)
    return ema, words


def export(out: Path, scale: float, ema: nn.ModuleDict, words: CLIPTokenizer) -> Path:
    """Write the model folder from trained parts; a model card beside it (`out`/README.md) goes in with it."""
    networks, vae = _vae()
    networks.load_state_dict(torch.load(out / "decoder.pt", weights_only=True)["networks"])
    vae.register_to_config(scaling_factor=scale)
    unet, text = ema["unet"], ema["text_encoder"]
    assert isinstance(unet, UNet2DConditionModel) and isinstance(text, CLIPTextModel)
    card = out / "README.md"
    parts.save(out / "model", vae, unet, text, words, card.read_text() if card.is_file() else STANDS_IN)
    return out / "model"


def main() -> None:
    """The command line of the training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for shards, checkpoints, curves and the model")
    parser.add_argument("--minutes", type=float, default=80.0, help="training time of both networks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vae-steps", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--sample-shards", type=int, default=64)
    parser.add_argument("--restart", action="store_true", help="begin anew instead of from the last checkpoint")
    options = parser.parse_args()
    print(
        train_tiny(
            options.out,
            options.vae_steps,
            options.steps,
            options.sample_shards,
            options.seed,
            options.minutes,
            resume=not options.restart,
        )
    )


if __name__ == "__main__":
    main()
