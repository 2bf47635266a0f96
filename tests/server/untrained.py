"""Small untrained models in the classes of the one that ships: mechanics need no training, and tests no millions."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderDC, PixArtTransformer2DModel, UNet2DConditionModel
from torch import nn

from latensify_server.training import parts

CHANNELS = 4
CAPTIONS = ["winter, snow covered", "thick fog", "empty background", "a red car on a road"]


def model_folder(folder: Path, kind: str = "unet") -> Path:
    """Write an untrained model with a denoiser of a kind, "unet" or "dit", into a new folder."""
    torch.manual_seed(0)
    words = parts.tokenizer(CAPTIONS, 20)
    networks = nn.ModuleDict({"denoiser": DENOISERS[kind](), "text_encoder": parts.text_encoder(len(words))})
    vae = autoencoder()
    vae.register_to_config(scaling_factor=0.5)
    parts.save(folder, vae, networks, words, "Untrained.\n")
    return folder


def autoencoder() -> AutoencoderDC:
    blocks = {f"{half}_block_out_channels": (16, 16, 32, 64) for half in ("encoder", "decoder")}
    layers = {f"{half}_layers_per_block": (0, 1, 1, 1) for half in ("encoder", "decoder")}
    scales = {f"{half}_qkv_multiscales": ((),) * 4 for half in ("encoder", "decoder")}
    return AutoencoderDC(
        latent_channels=CHANNELS, encoder_out_shortcut=False, decoder_in_shortcut=False, **blocks, **layers, **scales
    )


def unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=2 * CHANNELS + 1,
        out_channels=CHANNELS,
        block_out_channels=(16, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=2,
        cross_attention_dim=parts.TEXT_WIDTH,
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
    )


def dit() -> PixArtTransformer2DModel:
    return PixArtTransformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=2 * CHANNELS + 1,
        out_channels=CHANNELS,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        cross_attention_dim=32,
        caption_channels=parts.TEXT_WIDTH,
        interpolation_scale=1,
        use_additional_conditions=False,
        norm_num_groups=8,
    )


DENOISERS = {"unet": unet, "dit": dit}
