"""A start for the autoencoder that needs no training: patches of 8x8 pixels to their principal components and back.

Every block begins as the identity and every convolution that resamples as a choice of channels, so that the whole is
linear: the encoder's last layer is solved for the components by least squares, the decoder's first carries them back.
Training then has only to learn what a linear code leaves over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderDC
from torch import Tensor, nn

PATCH = 8
LOUD = 20.0
"""A constant channel before the decoder's last norm: with it the norm divides by nearly the same number everywhere."""

WHITENED = 0.5
"""Components are divided by this power of their spread: a denoiser hears the fine ones, yet they stay the quieter."""


@torch.no_grad()
def start(vae: AutoencoderDC, pictures: Sequence[Tensor]) -> None:
    """Set an untrained autoencoder to the principal components of pictures [3, h, w] in -1..1, sides multiples of 8."""
    patches = torch.cat([_patches(picture) for picture in pictures])
    mean, basis, gain = _components(patches, vae.config.latent_channels)
    for block in vae.modules():
        if type(block).__name__ == "ResBlock":
            block.norm.weight.zero_()
            block.norm.bias.zero_()
    _encode_linearly(vae.encoder, pictures, (patches - mean) @ basis.T * gain)
    _decode_linearly(vae.decoder, basis / gain[:, None], mean)


def _patches(picture: Tensor) -> Tensor:
    """[3, h, w] to [n, 192]: channel, row, column of each patch."""
    parts = picture.unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)
    return parts.permute(1, 2, 0, 3, 4).reshape(-1, 3 * PATCH * PATCH)


def _components(patches: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The mean [192], the components [count, 192] and the gain of each [count], which makes latents of unit spread."""
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T))
    basis = vectors.flip(1)[:, :count].T
    spread = values.flip(0)[:count].clamp_min(1e-9).sqrt()
    gain = spread**-WHITENED
    return mean, basis, gain / (spread * gain).square().mean().sqrt()


def _encode_linearly(encoder: Any, pictures: Sequence[Tensor], wanted: Tensor) -> None:
    """Bring every pixel to the last layer, and solve that layer for the latents wanted [n, latent channels]."""
    resampling = [encoder.conv_in.conv, *(block[-1].conv for block in encoder.down_blocks[1:-1])]
    carried = 3
    for conv in resampling:
        kept = min(carried, conv.out_channels)
        conv.bias.zero_()
        conv.weight.mul_(0.3)
        conv.weight[:kept] = 0
        conv.weight[range(kept), range(kept), 1, 1] = 1
        carried = 4 * kept
    features = torch.cat([_features(encoder, picture) for picture in pictures]).double()
    solved = torch.linalg.lstsq(
        torch.cat([features, torch.ones(len(features), 1).double()], 1), wanted.double()
    ).solution.float()
    encoder.conv_out.weight.zero_()
    encoder.conv_out.weight[:, :, 1, 1] = solved[:-1].T
    encoder.conv_out.bias.copy_(solved[-1])


def _features(encoder: Any, picture: Tensor) -> Tensor:
    """What reaches the encoder's last layer [h/8 * w/8, channels]."""
    hidden = encoder.conv_in(picture[None])
    for block in encoder.down_blocks:
        hidden = block(hidden)
    features: Tensor = hidden[0].flatten(1).T
    return features


def _decode_linearly(decoder: Any, basis: Tensor, mean: Tensor) -> None:
    """Spread latents over `basis` [latent channels, 192] in the first doubling; the others hand pixels on."""
    decoder.conv_in.weight.zero_()
    decoder.conv_in.bias.zero_()
    count = len(basis)
    decoder.conv_in.weight[range(count), range(count), 1, 1] = 1
    first, second = (block[0] for block in reversed(decoder.up_blocks[1:-1]))
    order = _unshuffled()
    for doubling in (first, second):
        _without_shortcut(doubling)
    first.conv.weight[: 3 * PATCH * PATCH, :count, 1, 1] += basis.T[order]
    first.conv.bias[: 3 * PATCH * PATCH] = mean[order]
    rows = torch.arange(48)
    second.conv.weight[rows, rows, 1, 1] += 1
    second.conv.weight[48 + rows, rows, 1, 1] -= 1  # a ReLU follows: each value goes with its opposite
    second.conv.bias[96:100] = LOUD
    decoder.norm_out.weight.fill_(LOUD / second.conv.out_channels**0.5 * 2)
    decoder.norm_out.bias.zero_()
    last = decoder.conv_out.conv
    last.weight.zero_()
    last.bias.zero_()
    rows = torch.arange(12)
    last.weight[rows, rows, 1, 1] = 1
    last.weight[rows, 12 + rows, 1, 1] = -1


def _unshuffled() -> Tensor:
    """For each channel that three pixel shuffles spread over a patch, its place in the patch [192]."""
    places = torch.arange(3 * PATCH * PATCH).reshape(1, 3, PATCH, PATCH)
    for _ in range(3):
        places = nn.functional.pixel_unshuffle(places.float(), 2)
    return places.flatten().long()


def _without_shortcut(doubling: Any) -> None:
    """A doubling whose convolution takes its own shortcut away."""
    weight = doubling.conv.weight.zero_()
    doubling.conv.bias.zero_()
    rows = torch.arange(weight.shape[0])
    weight[rows, rows // doubling.repeats, 1, 1] = -1
