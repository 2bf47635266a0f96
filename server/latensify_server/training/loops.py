"""The training loop, and the losses of the autoencoder and of the denoiser."""

from __future__ import annotations

import contextlib
import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderDC
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from latensify_bridge.errors import BadRequest
from latensify_server.training import parts

QUICK = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
SAVE_EVERY_S = 300.0
LOG_EVERY = 50
EMA = 0.999
LATENT_NOISE = 0.02
"""Latents are noised by this part of their spread while the decoder learns: a denoiser's will not be exact either."""


@dataclass(frozen=True)
class Budget:
    """When a loop ends: after `steps`, or `seconds` of training in all its runs, whichever comes first."""

    steps: int
    seconds: float

    def progress(self, step: int, spent_s: float) -> float:
        """How much is used, 0..1."""
        return min(1.0, max(step / self.steps, spent_s / self.seconds))


@dataclass
class State:
    """What a checkpoint holds; `ema` is the running average of the weights, which is what gets used."""

    networks: nn.ModuleDict
    ema: nn.ModuleDict
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def load(self, file: Path) -> None:
        """Go on from a checkpoint, where there is one."""
        if file.is_file():
            saved = torch.load(file, weights_only=True)
            self.networks.load_state_dict(saved["networks"])
            self.ema.load_state_dict(saved["ema"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step, self.seconds = int(saved["step"]), float(saved["seconds"])

    def save(self, file: Path) -> None:
        """Write a checkpoint under its name only when it is whole."""
        saved = {name: getattr(self, name).state_dict() for name in ("networks", "ema", "optimiser")}
        torch.save({**saved, "step": self.step, "seconds": self.seconds}, file.with_suffix(".partial"))
        file.with_suffix(".partial").rename(file)


def train(
    file: Path,
    networks: nn.ModuleDict,
    ema: nn.ModuleDict,
    loss_of: Callable[[int], dict[str, Tensor]],
    budget: Budget,
    rate: float,
    watch: Callable[[int], None] = lambda step: None,
) -> None:
    """AdamW with warm-up and a cosine fall; resumes from and saves to `file`, with the curve in a CSV beside it.

    Args:
        loss_of: the losses of a step, the one to descend named "loss"; what is random in it follows from the step.
        watch: called with the step at every checkpoint, to draw samples.
    """
    weights = [weight for weight in networks.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
    state = State(networks, ema, optimiser)
    state.load(file)
    began = saved = time.monotonic() - state.seconds
    saved += state.seconds
    sums: dict[str, float] = {}
    with _bar() as bar:
        task = bar.add_task(file.stem, total=1.0)
        while (done := budget.progress(state.step, state.seconds)) < 1:
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1, (state.step + 1) / 100) * (0.02 + 0.98 * math.cos(math.pi / 2 * done) ** 2)
            losses = loss_of(state.step)
            losses["loss"].backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            state.step += 1
            follow(ema, networks, min(EMA, state.step / (state.step + 20)))
            state.seconds = time.monotonic() - began
            sums = {name: sums.get(name, 0.0) + value.item() for name, value in losses.items()}
            done = budget.progress(state.step, state.seconds)
            if state.step % LOG_EVERY == 0:
                row = {name: round(value / LOG_EVERY, 6) for name, value in sums.items()}
                log(file.with_suffix(".csv"), {"step": state.step, "seconds": round(state.seconds, 1), **row})
                bar.update(task, completed=done, description=f"{file.stem} {state.step} loss {row['loss']:.4f}")
                sums = {}
            if time.monotonic() - saved > SAVE_EVERY_S or done >= 1:
                state.save(file)
                watch(state.step)
                saved = time.monotonic()


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


@torch.no_grad()
def follow(ema: nn.ModuleDict, networks: nn.ModuleDict, keep: float) -> None:
    """Move the averaged weights towards the present ones."""
    torch._foreach_lerp_(list(ema.parameters()), list(networks.parameters()), 1 - keep)


def log(file: Path, row: dict[str, float]) -> None:
    """Add a row to a curve."""
    fresh = not file.is_file()
    with file.open("a", newline="") as out:
        writer = csv.DictWriter(out, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def device_of(name: str) -> torch.device:
    """The device of a name. Raises BadRequest where there is none."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise BadRequest(f"--device {name} can't be used: {str(error).splitlines()[0]} Use --device cpu.") from None


@contextlib.contextmanager
def autocast(device: torch.device) -> Iterator[None]:
    """bfloat16 where it is safe: the fastest form measured on CPUs with AVX-512 or AMX, and on GPUs."""
    kernels = [SDPBackend.MATH] if device.type == "cpu" else list(QUICK)  # a CPU's fused backward pass is the slower
    with torch.autocast(device.type, torch.bfloat16), sdpa_kernel(kernels):
        yield


def autoencoder_loss(
    vae: AutoencoderDC, batches: Callable[[int], Tensor], generator: Callable[[int], torch.Generator]
) -> Callable[[int], dict[str, Tensor]]:
    """Reconstruction of the picture, its gradients and its coarse form, from slightly noised latents."""

    def loss(step: int) -> dict[str, Tensor]:
        images = batches(step)
        with autocast(images.device):
            latents = vae.encode(images).latent
            spread = latents.detach().float().std()
            noise = torch.randn(latents.shape, generator=generator(step)).to(images.device)
            rebuilt = vae.decode(latents + LATENT_NOISE * spread * noise).sample
        error = rebuilt.float() - images
        slopes = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        coarse = nn.functional.avg_pool2d(error, 8).abs().mean()
        squared = error.square().mean()
        return {"loss": error.abs().mean() + 0.3 * slopes + coarse + 8 * squared, "mse": squared.detach() / 4}

    return loss


@dataclass(frozen=True)
class Batch:
    """Latents [n, c, h, w] of source (zeros: none) and target, mask [n, 1, h, w], tokens [n, tokens]."""

    source: Tensor
    target: Tensor
    mask: Tensor
    tokens: Tensor


LEAST_VARIANCE = 0.1
SOURCELESS = 0.05
"""A part of whole-frame sources is dropped, so that guidance by the source has something to compare with."""


def denoiser_loss(
    networks: nn.ModuleDict, batches: Callable[[int], Batch], generator: Callable[[int], torch.Generator]
) -> Callable[[int], dict[str, Tensor]]:
    """The error of the clean latents predicted, weighed as that of velocities is, but for the last, nearly clean, ones.

    A narrow network that predicts what is clean need not carry the noise of many channels through itself (Li and He,
    "Back to Basics: Let Denoising Generative Models Denoise", 2025). Times are spread evenly over a batch.
    """
    scheduler = parts.scheduler()

    def loss(step: int) -> dict[str, Tensor]:
        batch, rng = batches(step), generator(step)
        device, count = batch.target.device, len(batch.target)
        sourceless = (torch.rand(count, generator=rng) < SOURCELESS).to(device) & batch.mask.flatten(1).all(1)
        source = batch.source * ~sourceless[:, None, None, None]
        order = torch.randperm(count, generator=rng)
        times = ((order + torch.rand(count, generator=rng)) / count * scheduler.config.num_train_timesteps).long()
        levels = scheduler.alphas_cumprod[times].to(device)[:, None, None, None]
        signal, sigma = levels.sqrt(), (1 - levels).sqrt()
        noise = torch.randn(batch.target.shape, generator=rng).to(device)
        noisy = torch.cat([batch.target * signal + noise * sigma, batch.mask, source], 1)
        with autocast(device):
            predicted = parts.predict(networks, noisy, times.to(device), batch.tokens)
        error = (predicted.float() - batch.target).square().mean((1, 2, 3))
        variance = (1 - levels).flatten()
        velocity = (error / variance.clamp_min(1e-4)).detach()
        loss = (error / variance.clamp_min(LEAST_VARIANCE)).mean()
        return {
            "loss": loss,
            "velocity": velocity.mean(),
            "noisy": velocity[times.to(device) >= 700].mean().nan_to_num(),
        }

    return loss


def seeded(seed: int) -> Callable[[int], torch.Generator]:
    """A generator for each step: a run that goes on draws what an unbroken one would."""
    return lambda step: torch.Generator().manual_seed(seed * 1_000_003 + step)
