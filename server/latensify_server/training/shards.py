"""Samples on disk: shards of pixels, then of latents, so that training never waits for data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from latensify_server.training import data, parts

Pixels = NDArray[np.uint8]


def write(folder: Path, name: str, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Write a shard under its final name only when it is whole."""
    partial = folder / f".{name}.{os.getpid()}.npz"
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.rename(folder / f"{name}.npz")


def render(folder: Path, count: int, seed: int) -> None:
    """Render the first `count` shards of samples that are not on disk yet."""
    import cv2

    cv2.setNumThreads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        if (folder / f"pixels-{number:04d}.npz").is_file():
            continue
        samples = data.shard(number, seed)
        write(
            folder,
            f"pixels-{number:04d}",
            {
                "source": np.stack([_bytes(sample.source) for sample in samples]),
                "target": np.stack([_bytes(sample.target) for sample in samples]),
                "mask": np.stack([_bytes(sample.mask) for sample in samples]),
                "sourced": np.array([sample.sourced for sample in samples]),
                "prompts": np.frombuffer(json.dumps([sample.prompt for sample in samples]).encode(), np.uint8),
            },
        )


def ready(folder: Path, kind: str) -> list[Path]:
    """The whole shards of a kind, in order."""
    return sorted(folder.glob(f"{kind}-*.npz"))


def crops(folder: Path, size: int, batch: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Random crops [batch, 3, size, size] in -1..1 of sources and targets of the shards there are."""
    while True:
        with np.load(rng.choice(np.array(ready(folder, "pixels"), dtype=object))) as file:
            images = np.concatenate([file["target"], file["source"][file["sourced"]]])
        order = rng.permutation(len(images))[: batch * 12]
        for start in range(0, len(order) - batch + 1, batch):
            yield torch.stack([_crop(images[index], size, rng) for index in order[start : start + batch]])


def _crop(image: Pixels, size: int, rng: np.random.Generator) -> Tensor:
    top, left = rng.integers(image.shape[0] - size + 1), rng.integers(image.shape[1] - size + 1)
    piece = image[top : top + size, left : left + size]
    return signal(piece[:, ::-1] if rng.random() < 0.5 else piece)


@torch.no_grad()
def encode(folder: Path, checkpoint: Path, count: int) -> None:
    """Write the latents of the first `count` shards of pixels, with the autoencoder of a training checkpoint."""
    torch.set_num_threads(1)
    networks = torch.nn.ModuleDict({"vae": parts.autoencoder()})
    networks.load_state_dict(torch.load(checkpoint, weights_only=True)["networks"])
    vae = networks["vae"].eval()
    assert isinstance(vae, AutoencoderKL)
    for number in range(count):
        if not (folder / f"latents-{number:04d}.npz").is_file():
            _encode_shard(folder, vae, number)


def _encode_shard(folder: Path, vae: AutoencoderKL, number: int) -> None:
    """Latents (unscaled, fp16), masks of latent size and prompts of one shard of pixels."""
    with np.load(folder / f"pixels-{number:04d}.npz") as file:
        shard = {key: file[key] for key in file.files}
    latents = {}
    for key in ("source", "target"):
        with torch.autocast("cpu", torch.bfloat16):
            modes = [
                vae.encode(torch.stack([signal(image) for image in batch.numpy()])).latent_dist.mode()
                for batch in torch.from_numpy(shard[key]).split(10)
            ]
        latents[key] = torch.cat(modes).float().numpy().astype(np.float16)
    latents["source"][~shard["sourced"]] = 0
    mask = torch.from_numpy(shard["mask"])[:, None].float() / 255
    latents["mask"] = torch.nn.functional.max_pool2d(mask, 8).gt(0.5).numpy().astype(np.uint8)
    write(folder, f"latents-{number:04d}", {**latents, "prompts": shard["prompts"]})


def prompts(shard: dict[str, NDArray[np.generic]]) -> list[str]:
    """The prompts of a loaded shard."""
    texts: list[str] = json.loads(shard["prompts"].tobytes())
    return texts


def signal(image: Pixels) -> Tensor:
    """A picture [h, w, 3] of bytes as the networks see it, [3, h, w] in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 127.5 - 1


def _bytes(image: NDArray[np.float32]) -> Pixels:
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
