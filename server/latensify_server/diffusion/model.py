"""A latent diffusion model as one frozen value, and the four things that can be done with it.

The folder is diffusers' own: `vae/`, `unet/`, `text_encoder/`, `tokenizer/`, `scheduler/` (Rombach et al.,
"High-Resolution Image Synthesis with Latent Diffusion Models", 2022). The denoiser sees the noisy latents, a mask and
the source latents, stacked in the order of diffusers' StableDiffusionInpaintPipeline. Every frame is run alone:
batching may change the order of sums in a convolution, and with it the last bits of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")


@dataclass(frozen=True)
class Model:
    """Everything loaded from a model folder; image sides must be multiples of `multiple` pixels."""

    name: str
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    device: torch.device
    dtype: torch.dtype
    multiple: int

    @property
    def channels(self) -> int:
        """Channels of the latents."""
        return int(self.vae.config.latent_channels)


def load(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Model:
    """Load a model folder from disk alone, weights from safetensors alone.

    Raises:
        FileNotFoundError: not a model folder.
        ValueError: pickled weights lie in the folder, or the denoiser takes other inputs than ours.
    """
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no model_index.json.")
    pickled = [path.name for path in sorted(folder.rglob("*")) if path.suffix in PICKLED]
    if pickled:
        raise ValueError(f"{folder} holds pickled weights ({', '.join(pickled)}); convert them to safetensors first.")
    weights = {"local_files_only": True, "use_safetensors": True}
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", **weights)
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", **weights)
    text_encoder = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", **weights)
    expected = 2 * vae.config.latent_channels + 1
    if unet.config.in_channels != expected:
        raise ValueError(
            f"The denoiser of {folder} takes {unet.config.in_channels} channels; an inpainting denoiser "
            f"with {expected} (latents, mask, source) is needed."
        )
    for part in (vae, unet, text_encoder):
        part.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return Model(
        name=folder.name,
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        scheduler=DDIMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True),
        device=torch.device(device),
        dtype=dtype,
        multiple=2 ** (len(vae.config.block_out_channels) - 1),
    )


@torch.no_grad()
def encode(model: Model, images: Tensor) -> Tensor:
    """Images [n, 3, h, w] (sRGB in 0..1) to scaled latents [n, c, h/8, w/8]: the mode of the posterior, never a sample.

    Raises:
        ValueError: a side is no multiple of `model.multiple`.
    """
    if images.shape[-1] % model.multiple or images.shape[-2] % model.multiple:
        raise ValueError(
            f"An image of {images.shape[-1]}x{images.shape[-2]} can't be encoded by {model.name}: "
            f"its sides must be multiples of {model.multiple} pixels."
        )
    signal = (images.to(model.device, model.dtype) * 2 - 1).clamp(-1, 1)
    return torch.cat([model.vae.encode(one).latent_dist.mode() for one in signal.split(1)]) * _scale(model)


@torch.no_grad()
def decode(model: Model, latents: Tensor) -> Tensor:
    """Scaled latents [n, c, h, w] to images [n, 3, 8h, 8w], sRGB in 0..1."""
    signal = latents.to(model.device, model.dtype) / _scale(model)
    return torch.cat([model.vae.decode(one).sample for one in signal.split(1)]).mul(0.5).add(0.5).clamp(0, 1)


@torch.no_grad()
def embed(model: Model, prompts: Sequence[str]) -> Tensor:
    """Prompts to the text encoder's last hidden states [n, tokens, width]; prompts over the model's length are cut."""
    length = model.text_encoder.config.max_position_embeddings
    tokens = model.tokenizer(
        list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids.to(model.device)
    return torch.cat([model.text_encoder(one).last_hidden_state for one in tokens.split(1)])


@torch.no_grad()
def denoise(model: Model, latents: Tensor, timestep: int, mask: Tensor, source: Tensor, text: Tensor) -> Tensor:
    """One prediction of the denoiser, shape of `latents`; what it predicts is `model.scheduler.config.prediction_type`.

    Args:
        latents: noisy latents [n, c, h, w].
        mask: [n, 1, h, w], 1 where the picture is to change.
        source: latents of the picture edited, [n, c, h, w]; zeros for none.
        text: from `embed`, [n, tokens, width].
    """
    stacked = torch.cat([latents, mask, source], dim=1)
    predicted: Tensor = model.unet(stacked, timestep, encoder_hidden_states=text).sample
    return predicted


def _scale(model: Model) -> float:
    return float(model.vae.config.scaling_factor)
