"""Goes on with a trained model on a studio's own footage: its decoder, its denoiser, or a LoRA of it.

The encoder stays as it is in every case: the denoiser knows its latents. The footage takes the place of photographs and
worlds: looks are laid over it, holes cut into it, objects drawn on it (data.py).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderDC
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from latensify_server.diffusion import model as models
from latensify_server.diffusion.model import Model
from latensify_server.training import data, loops, parts, shards, sheets

PARTS = ("vae", "denoiser", "lora")
LORA_RANK = 8
LORA_MODULES = ["to_q", "to_k", "to_v", "to_out.0", "conv1", "conv2"]
RATES = {"vae": 1e-4, "denoiser": 1e-4, "lora": 5e-4}


@dataclass(frozen=True)
class OwnPlan:
    """What to go on with: `part` of the model in `base`, on `footage`, for at most `steps` and `minutes`."""

    out: Path
    base: Path
    part: str
    footage: data.Own
    steps: int = 2000
    minutes: float = 30.0
    sample_shards: int = 6
    batch: int = 24
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    @property
    def shards(self) -> Path:
        return self.out / "shards"


def train_own(plan: OwnPlan) -> Path:
    """Train, or go on from a checkpoint, and return the folder of a whole model, `plan.out`/model."""
    loops.device_of(plan.device)
    plan.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    base = models.load(plan.base, plan.device)
    shards.render(plan.shards, plan.sample_shards, plan.seed, plan.footage)
    vae = base.vae
    assert isinstance(vae, AutoencoderDC)
    trained = nn.ModuleDict({"denoiser": base.denoiser, "text_encoder": base.text_encoder})
    if plan.part == "vae":
        _decoder(plan, vae)
    else:
        shards.encode(plan.shards, vae, plan.sample_shards, base.device, lambda: False)
        trained = _denoiser(plan, base, trained)
    card = f"{(plan.base / 'README.md').read_text()}\n## Continued\n\n{_told(plan)}\n"
    parts.save(plan.out / "model", vae, trained, base.tokenizer, card)
    return plan.out / "model"


def _told(plan: OwnPlan) -> str:
    frames = len(plan.footage.frames)
    return (
        f"Its {plan.part} went on for up to {plan.steps} steps on {frames} frames of other footage, seed {plan.seed}."
    )


def _decoder(plan: OwnPlan, vae: AutoencoderDC) -> None:
    """Train the decoder, and leave its averaged weights in the autoencoder."""
    device = torch.device(plan.device)
    networks = nn.ModuleDict({"vae": vae})
    ema = deepcopy(networks)
    vae.decoder.requires_grad_(True)
    crops = shards.Crops(plan.shards, plan.sample_shards, 80, 8, plan.seed, device, lambda: False)
    loss = loops.autoencoder_loss(vae, crops, loops.seeded(plan.seed))
    loops.train(
        plan.out / "vae.pt", networks, ema, loss, _budget(plan), RATES["vae"], lambda step: sheets.plot(plan.out)
    )
    vae.load_state_dict(ema["vae"].state_dict())


def _denoiser(plan: OwnPlan, base: Model, trained: nn.ModuleDict) -> nn.ModuleDict:
    """Train the denoiser and text encoder, or a LoRA of the denoiser alone; the averaged networks."""
    if plan.part == "lora":
        base.denoiser.add_adapter(LoraConfig(r=LORA_RANK, lora_alpha=LORA_RANK, target_modules=LORA_MODULES))
    else:
        trained.requires_grad_(True)
    ema = deepcopy(trained).requires_grad_(False)
    batches = shards.Latents(
        plan.shards,
        plan.sample_shards,
        plan.batch * shards.CELLS,
        float(base.vae.config.scaling_factor),
        base.tokenizer,
        plan.seed,
        base.device,
        lambda: False,
    )
    loss = loops.denoiser_loss(trained, batches, loops.seeded(plan.seed + 2))
    file = plan.out / f"{plan.part}.pt"
    loops.train(file, trained, ema, loss, _budget(plan), RATES[plan.part], partial(_plotted, plan.out))
    if plan.part == "lora":
        _save_lora(plan.out / "lora", ema["denoiser"])
    return ema


def _save_lora(folder: Path, denoiser: Any) -> None:
    """Write the LoRA as diffusers names it, and melt it into the denoiser."""
    folder.mkdir(exist_ok=True)
    found = get_peft_model_state_dict(denoiser)
    weights = {f"unet.{name}": value.half().contiguous() for name, value in found.items()}
    save_file(weights, folder / "pytorch_lora_weights.safetensors")
    denoiser.fuse_lora()
    denoiser.unload_lora()


def _plotted(out: Path, step: int) -> None:
    sheets.plot(out)


def _budget(plan: OwnPlan) -> loops.Budget:
    return loops.Budget(plan.steps, plan.minutes * 60)
