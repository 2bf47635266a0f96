"""The two training loops: the autoencoder, then the denoiser on its latents."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from latensify_server.training import parts, shards

SAVE_EVERY_S = 120.0
EMA = 0.999


@dataclass(frozen=True)
class Budget:
    """When a loop ends: after `steps`, or `seconds` of training in all its runs, whichever comes first."""

    steps: int
    seconds: float

    def progress(self, step: int, spent_s: float) -> float:
        """How much is used, 0..1."""
        return min(1.0, max(step / self.steps, spent_s / self.seconds))


def train(
    file: Path,
    networks: nn.ModuleDict,
    loss_of: Callable[[], dict[str, Tensor]],
    budget: Budget,
    rate: float,
    ema: nn.ModuleDict | None = None,
    watch: Callable[[], dict[str, float]] | None = None,
) -> None:
    """AdamW with warm-up and a cosine fall; resumes from and saves to `file`, with the curve in a CSV beside it."""
    optimiser = torch.optim.AdamW(networks.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
    step, spent_s = _resume(file, networks, ema, optimiser)
    began = saved = time.monotonic()
    base_s = spent_s
    sums: dict[str, float] = {}
    while budget.progress(step, spent_s) < 1:
        for group in optimiser.param_groups:
            group["lr"] = (
                rate
                * min(1, (step + 1) / 100)
                * (0.02 + 0.98 * math.cos(math.pi / 2 * budget.progress(step, spent_s)) ** 2)
            )
        losses = loss_of()
        losses["loss"].backward()
        nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        if ema is not None:
            _follow(ema, networks, min(EMA, step / (step + 20)))
        spent_s = base_s + time.monotonic() - began
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        if step % 50 == 0:
            _log(
                file.with_suffix(".csv"),
                {"step": step, "seconds": round(spent_s, 1), **{k: round(v / 50, 5) for k, v in sums.items()}},
            )
            sums = {}
        if time.monotonic() - saved > SAVE_EVERY_S or budget.progress(step, spent_s) >= 1:
            _save(file, networks, ema, optimiser, step, spent_s)
            saved = time.monotonic()
            if watch:
                _log(file.with_name(f"{file.stem}-watch.csv"), {"step": step, "seconds": round(spent_s, 1), **watch()})


def _resume(
    file: Path, networks: nn.ModuleDict, ema: nn.ModuleDict | None, optimiser: torch.optim.Optimizer
) -> tuple[int, float]:
    if not file.is_file():
        return 0, 0.0
    state = torch.load(file, weights_only=True)
    networks.load_state_dict(state["networks"])
    optimiser.load_state_dict(state["optimiser"])
    if ema is not None:
        ema.load_state_dict(state["ema"])
    return int(state["step"]), float(state["seconds"])


def _save(
    file: Path,
    networks: nn.ModuleDict,
    ema: nn.ModuleDict | None,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    state = {
        "networks": networks.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
        "ema": ema.state_dict() if ema is not None else {},
    }
    torch.save(state, file.with_suffix(".partial"))
    file.with_suffix(".partial").rename(file)


@torch.no_grad()
def _follow(ema: nn.ModuleDict, networks: nn.ModuleDict, keep: float) -> None:
    torch._foreach_lerp_(list(ema.parameters()), list(networks.parameters()), 1 - keep)


def _log(file: Path, row: dict[str, float]) -> None:
    fresh = not file.is_file()
    with file.open("a", newline="") as out:
        writer = csv.DictWriter(out, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    print(file.stem, *(f"{key} {value}" for key, value in row.items()), flush=True)


def autoencoder_loss(
    vae: AutoencoderKL, batches: Iterator[Tensor], noise: torch.Generator
) -> Callable[[], dict[str, Tensor]]:
    """Reconstruction (of the picture, its hues, gradients and coarse form) with a slight pull to unit latents."""

    def loss() -> dict[str, Tensor]:
        images = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(images).latent_dist
            latents = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=noise)
            rebuilt = vae.decode(latents).sample
        error = rebuilt.float() - images
        plain, edges = error.abs().mean(), _slopes(error)
        hue = (error - error.mean(dim=1, keepdim=True)).abs().mean()
        coarse = nn.functional.avg_pool2d(error, 8).abs().mean()
        pull = posterior.kl().mean() / latents[0].numel()
        total = plain + 0.5 * edges + 3 * hue + coarse + 2 * error.square().mean() + 3e-4 * pull
        return {"loss": total, "mse": error.square().mean().detach(), "kl": pull.detach()}

    return loss


def _slopes(error: Tensor) -> Tensor:
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def denoiser_loss(
    networks: nn.ModuleDict,
    words: CLIPTokenizer,
    folder: Path,
    scale: float,
    batch: int,
    rng: np.random.Generator,
    noise: torch.Generator,
) -> Callable[[], dict[str, Tensor]]:
    """The v-prediction loss (Salimans and Ho, 2022), a tenth of prompts and a twentieth of sources dropped."""
    levels = parts.scheduler().alphas_cumprod
    batches = _latent_batches(folder, words, batch, rng)
    unet, text = networks["unet"], networks["text_encoder"]
    assert isinstance(unet, UNet2DConditionModel) and isinstance(text, CLIPTextModel)

    def loss() -> dict[str, Tensor]:
        source, target, mask, tokens = next(batches)
        sourceless = torch.rand(len(mask), generator=noise) < 0.05
        source, target = source * scale * ~(sourceless & mask.flatten(1).all(1))[:, None, None, None], target * scale
        times = torch.randint(0, len(levels), (len(mask),), generator=noise)
        signal, sigma = levels[times].sqrt()[:, None, None, None], (1 - levels[times]).sqrt()[:, None, None, None]
        noised = torch.randn(target.shape, generator=noise)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = text(tokens).last_hidden_state
            predicted = unet(
                torch.cat([target * signal + noised * sigma, mask, source], 1), times, encoder_hidden_states=hidden
            ).sample
        error = (predicted.float() - (noised * signal - target * sigma)).square()
        return {"loss": error.mean(), "late": error[times >= 700].mean().nan_to_num().detach()}

    return loss


def _latent_batches(
    folder: Path, words: CLIPTokenizer, batch: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of (source, target, mask, tokens), each from one shard, since a shard has one shape."""
    blank = words("", padding="max_length", max_length=parts.TOKENS, return_tensors="pt").input_ids[0]
    cached: dict[Path, tuple[Tensor, ...]] = {}
    while True:
        for file in shards.ready(folder, "latents"):
            if file not in cached:
                cached[file] = _load(file, words)
        source, target, mask, tokens = cached[list(cached)[int(rng.integers(len(cached)))]]
        size = max(8, int(batch * 256 / source[0, 0].numel()))
        chosen = torch.from_numpy(rng.choice(len(source), min(size, len(source)), replace=False))
        dropped = torch.from_numpy(rng.random(len(chosen)) < 0.1)
        kept = torch.where(dropped[:, None], blank, tokens[chosen])
        yield source[chosen].float(), target[chosen].float(), mask[chosen].float(), kept


def _load(file: Path, words: CLIPTokenizer) -> tuple[Tensor, ...]:
    with np.load(file) as data:
        shard = {key: data[key] for key in data.files}
    tokens = words(
        shards.prompts(shard), padding="max_length", max_length=parts.TOKENS, truncation=True, return_tensors="pt"
    ).input_ids
    return torch.from_numpy(shard["source"]), torch.from_numpy(shard["target"]), torch.from_numpy(shard["mask"]), tokens
