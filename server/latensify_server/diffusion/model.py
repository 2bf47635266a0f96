"""A latent diffusion model as one frozen value, and the four things that can be done with it.

The folder is diffusers' own: `vae/`, `unet/` or `transformer/`, `text_encoder/`, `tokenizer/`, `scheduler/` (Rombach et
al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2022). The denoiser sees the noisy latents, a mask
and the source latents, stacked in the order of diffusers' StableDiffusionInpaintPipeline. Every frame is run alone:
batching may change the order of sums in a convolution, and with it the last bits of a frame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderDC, AutoencoderKL, DDIMScheduler, PixArtTransformer2DModel, UNet2DConditionModel
from diffusers.models.autoencoders.vae import EncoderOutput
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from latensify_server.diffusion.attention import Glance, look_across_frames

AUTOENCODERS = {"AutoencoderDC": AutoencoderDC, "AutoencoderKL": AutoencoderKL}
DENOISERS = {"unet": UNet2DConditionModel, "transformer": PixArtTransformer2DModel}
"""By the folder that each lies in."""

CONDITIONS = {"resolution": None, "aspect_ratio": None}
"""PixArt asks for these even where it has no use for them; a U-Net does not mind."""

PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")


@dataclass(frozen=True)
class Model:
    """Everything loaded from a model folder.

    Image sides must be multiples of `multiple` pixels; `factor` of them, each way, are one cell of the latents.
    """

    name: str
    vae: AutoencoderDC | AutoencoderKL
    denoiser: UNet2DConditionModel | PixArtTransformer2DModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    device: torch.device
    dtype: torch.dtype
    factor: int
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
    vae = _autoencoder(folder).from_pretrained(folder, subfolder="vae", **weights)
    kind = next((kind for kind in DENOISERS if (folder / kind).is_dir()), "unet")
    denoiser = DENOISERS[kind].from_pretrained(folder, subfolder=kind, **weights)
    text_encoder = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", **weights)
    expected = 2 * vae.config.latent_channels + 1
    if denoiser.config.in_channels != expected:
        raise ValueError(
            f"The denoiser of {folder} takes {denoiser.config.in_channels} channels; an inpainting denoiser "
            f"with {expected} (latents, mask, source) is needed."
        )
    for part in (vae, denoiser, text_encoder):
        part.to(device=device, dtype=dtype).eval().requires_grad_(False)
    look_across_frames(denoiser)
    return Model(
        name=folder.name,
        vae=vae,
        denoiser=denoiser,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        scheduler=DDIMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True),
        device=torch.device(device),
        dtype=dtype,
        factor=_factor(vae),
        multiple=_factor(vae) * (denoiser.config.patch_size if kind == "transformer" else 1),
    )


def _autoencoder(folder: Path) -> type[AutoencoderDC | AutoencoderKL]:
    """The class that the folder's index names. Raises ValueError for one that is not known."""
    _, name = json.loads((folder / "model_index.json").read_text()).get("vae", (None, None))
    if name not in AUTOENCODERS:
        raise ValueError(f"The autoencoder of {folder} is a {name}; {' or '.join(AUTOENCODERS)} is needed.")
    found: type[AutoencoderDC | AutoencoderKL] = AUTOENCODERS[name]
    return found


def _factor(vae: AutoencoderDC | AutoencoderKL) -> int:
    """How many times smaller latents are than pixels, each way."""
    if isinstance(vae, AutoencoderDC):
        return int(vae.spatial_compression_ratio)
    return int(2 ** (len(vae.config.block_out_channels) - 1))


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
    return torch.cat([_latents(model.vae.encode(one)) for one in signal.split(1)]) * _scale(model)


def _latents(encoded: EncoderOutput | AutoencoderKLOutput) -> Tensor:
    latents: Tensor = encoded.latent if isinstance(encoded, EncoderOutput) else encoded.latent_dist.mode()
    return latents


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
def denoise(
    model: Model,
    latents: Tensor,
    timestep: int,
    mask: Tensor,
    source: Tensor,
    text: Tensor,
    glance: Glance | None = None,
) -> Tensor:
    """One prediction of the denoiser, shape of `latents`; what it predicts is `model.scheduler.config.prediction_type`.

    Args:
        latents: noisy latents [n, c, h, w].
        mask: [n, 1, h, w], 1 where the picture is to change.
        source: latents of the picture edited, [n, c, h, w]; zeros for none.
        text: from `embed`, [n, tokens, width].
        glance: at an anchor frame, or None for a frame by itself; n is 1 then.
    """
    stacked = torch.cat([latents, mask, source], dim=1)
    times = torch.full((len(latents),), timestep, device=latents.device)
    predicted: Tensor = model.denoiser(
        stacked,
        timestep=times,
        encoder_hidden_states=text,
        added_cond_kwargs=CONDITIONS,
        cross_attention_kwargs={"glance": glance},
    ).sample
    return predicted


def _scale(model: Model) -> float:
    return float(model.vae.config.scaling_factor)
