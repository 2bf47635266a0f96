"""Samples on disk: shards of pixels, then of latents, made beside the training that reads them.

Which shard a step reads follows from the step alone, so that a run is the same whether the disk was full before it
began or is filled as it goes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderDC
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPTokenizer

from latensify_server.training import data, parts
from latensify_server.training.loops import Batch
from latensify_server.training.worlds import stream

Pixels = NDArray[np.uint8]
Arrays = dict[str, NDArray[Any]]

FIRST = 6
STEPS_A_SHARD = 48
"""One more shard is drawn from every so many steps: half as fast as a core renders and encodes them."""

CELLS = 256
"""Latent cells of a 128x128 picture; batches of larger pictures have fewer of them."""


def reach(step: int, count: int) -> int:
    """How many of `count` shards a step may draw from."""
    return min(count, FIRST + step // STEPS_A_SHARD)


def path(folder: Path, kind: str, number: int) -> Path:
    """The file of a shard of "pixels" or "latents"."""
    return folder / f"{kind}-{number:04d}.npz"


def write(file: Path, arrays: Arrays) -> None:
    """Write a shard under its final name only when it is whole."""
    partial = file.with_name(f".{file.stem}.{os.getpid()}.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.rename(file)


def read(file: Path, alive: Callable[[], bool]) -> Arrays:
    """A shard's arrays, waited for while its maker is alive.

    Raises:
        FileNotFoundError: the maker ended without it.
    """
    while not file.is_file():
        if not alive() and not file.is_file():
            raise FileNotFoundError(f"The training samples {file} were not made; the message of their maker is above.")
        time.sleep(0.2)
    with np.load(file) as arrays:
        return {key: arrays[key] for key in arrays.files}


def render(folder: Path, count: int, seed: int, own: data.Own | None = None) -> None:
    """Render the shards of samples that are not on disk yet."""
    import cv2

    cv2.setNumThreads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        if path(folder, "pixels", number).is_file() or path(folder, "latents", number).is_file():
            continue
        samples = data.shard(number, seed, own)
        arrays = {
            "source": np.stack([_bytes(sample.source) for sample in samples]),
            "target": np.stack([_bytes(sample.target) for sample in samples]),
            "mask": np.stack([_bytes(sample.mask) for sample in samples]),
            "sourced": np.array([sample.sourced for sample in samples]),
            "prompts": np.frombuffer(json.dumps([sample.prompt for sample in samples]).encode(), np.uint8),
        }
        write(path(folder, "pixels", number), arrays)


@dataclass(frozen=True)
class Crops:
    """Crops [batch, 3, size, size] in -1..1 of the pictures of shards, by step."""

    folder: Path
    count: int
    size: int
    batch: int
    seed: int
    device: torch.device
    alive: Callable[[], bool]
    _kept: dict[int, Pixels] = field(default_factory=dict)

    def __call__(self, step: int) -> Tensor:
        rng = stream(self.seed, f"crops {step}")
        images = self._images(int(rng.integers(reach(step, self.count))))
        return torch.stack([self._crop(images, rng) for _ in range(self.batch)]).to(self.device)

    def _images(self, number: int) -> Pixels:
        if number not in self._kept:
            arrays = read(path(self.folder, "pixels", number), self.alive)
            self._kept[number] = np.concatenate([arrays["target"], arrays["source"][arrays["sourced"]]])
        return self._kept[number]

    def _crop(self, images: Pixels, rng: np.random.Generator) -> Tensor:
        image = images[rng.integers(len(images))]
        top, left = (rng.integers(side - self.size + 1) for side in image.shape[:2])
        piece = image[top : top + self.size, left : left + self.size]
        return signal(piece[:, ::-1] if rng.random() < 0.5 else piece)


@torch.no_grad()
def encode(folder: Path, vae: AutoencoderDC, count: int, device: torch.device, alive: Callable[[], bool]) -> None:
    """Write the latents of shards of pixels."""
    vae.to(device).eval()
    for number in range(count):
        if path(folder, "latents", number).is_file():
            continue
        arrays = read(path(folder, "pixels", number), alive)
        latents: Arrays = {key: _latents(vae, arrays[key], device) for key in ("source", "target")}
        latents["source"][~arrays["sourced"]] = 0
        mask = torch.from_numpy(arrays["mask"])[:, None].float() / 255
        latents["mask"] = torch.nn.functional.max_pool2d(mask, parts.FACTOR).gt(0.5).numpy()
        latents["prompts"] = arrays["prompts"]
        write(path(folder, "latents", number), latents)


def _latents(vae: AutoencoderDC, images: Pixels, device: torch.device) -> NDArray[np.float16]:
    """Unscaled latents of pictures of bytes."""
    with torch.autocast(device.type, torch.bfloat16):
        encoded = [
            vae.encode(torch.stack([signal(image) for image in images[start : start + 10]]).to(device)).latent
            for start in range(0, len(images), 10)
        ]
    return torch.cat(encoded).half().cpu().numpy()


@dataclass(frozen=True)
class Latents:
    """Batches of scaled latents, by step; a tenth of the prompts is dropped."""

    folder: Path
    count: int
    cells: int
    scale: float
    words: CLIPTokenizer
    seed: int
    device: torch.device
    alive: Callable[[], bool]
    _kept: dict[int, tuple[Tensor, Tensor, Tensor, Tensor]] = field(default_factory=dict)

    def __call__(self, step: int) -> Batch:
        rng = stream(self.seed, f"batch {step}")
        source, target, mask, tokens = self._shard(int(rng.integers(reach(step, self.count))))
        size = max(4, min(len(source), self.cells // source[0, 0].numel()))
        chosen = torch.from_numpy(rng.choice(len(source), size, replace=False))
        blank = parts.tokens(self.words, [""])[0]
        kept = torch.where(torch.from_numpy(rng.random(size) < 0.1)[:, None], blank, tokens[chosen])
        pictures = (part[chosen].float().to(self.device) for part in (source, target, mask))
        source, target, mask = pictures
        return Batch(source * self.scale, target * self.scale, mask, kept.to(self.device))

    def _shard(self, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if number not in self._kept:
            arrays = read(path(self.folder, "latents", number), self.alive)
            source, target, mask = (torch.from_numpy(arrays[key]) for key in ("source", "target", "mask"))
            self._kept[number] = source, target, mask, parts.tokens(self.words, prompts(arrays))
        return self._kept[number]


def prompts(arrays: Arrays) -> list[str]:
    """The prompts of a shard."""
    texts: list[str] = json.loads(arrays["prompts"].tobytes())
    return texts


def signal(image: Pixels) -> Tensor:
    """A picture [h, w, 3] of bytes as the networks see it, [3, h, w] in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 127.5 - 1


def _bytes(image: NDArray[np.float32]) -> Pixels:
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
