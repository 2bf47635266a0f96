"""Fits a small diffusion model to one shot, from crops of what its frames show, with holes of the mattes' own shapes.

Every step draws its batch and noise from (seed, step), so that a fit that was cut goes on to the same bits. What the
mattes cover is never learned from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from latensify_server.colour import Image
from latensify_server.diffusion import shot_model
from latensify_server.diffusion.fill import Region, smooth_fill

CROP_PX = 64
BATCH = 8
RATE = 5e-4
SAVE_EVERY = 50
EMA = 0.995
AROUND = 0.25
"""Weight of what lies around a made hole against what lies in it."""

SCALES = (0.7, 1.5)
"""Sizes of the crops' pixels, against those of the picture that is filled later."""


@dataclass(frozen=True)
class Pyramid:
    """One frame at the size that is learned from, with its hole; smaller than the plate where holes are large."""

    picture: Image
    hole: Region


def fit(
    frames: Sequence[Image],
    holes: Sequence[Region],
    out: Path,
    steps: int,
    seed: int,
    progress: Callable[[float, str], None],
) -> None:
    """Fits a model and writes its folder (see diffusion/shot_model.py) to `out`; at once back when it is there.

    Args:
        frames: display-referred RGB [h, w, 3] in 0..1, all of one size.
        holes: [h, w], what is to be taken out of each: never learned from.
        out: of the model, and of the checkpoint from which a second call goes on.
        steps: of eight crops each; 120 take about two minutes on one core.
        seed: of the initial weights, crops and noise.
        progress: told (0..1, stage) after each step; what it raises stops the fit, with a checkpoint.

    Raises:
        ValueError: there are no frames, or the mattes leave nothing to learn from.
    """
    if (out / "model_index.json").is_file():
        return
    pictures = _pictures(frames, holes)
    out.mkdir(parents=True, exist_ok=True)
    state = _State(steps, seed)
    state.resume(out / "checkpoint.pt")
    try:
        while state.step < steps:
            progress(state.step / steps, f"fitting, step {state.step + 1} of {steps}")
            state.learn(_batch(pictures, np.random.default_rng([seed, state.step])))
            if state.step % SAVE_EVERY == 0:
                state.save(out / "checkpoint.pt")
    except BaseException:
        state.save(out / "checkpoint.pt")
        raise
    _publish(state.averaged, out)
    progress(1.0, "fitted")


class _State:
    """What a checkpoint holds."""

    def __init__(self, steps: int, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.unet = shot_model.untrained()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.unet.to(self.device)
        self.averaged = deepcopy(self.unet).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.unet.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.01)
        self.levels = shot_model.scheduler().alphas_cumprod
        self.steps, self.seed, self.step = steps, seed, 0

    def learn(self, batch: tuple[Tensor, Tensor, Tensor]) -> None:
        """One step. `batch`: pictures in -1..1, holes, and what is learned from (1) or not (0)."""
        for group in self.optimiser.param_groups:
            group["lr"] = (
                RATE * min(1, (self.step + 1) / 30) * (0.02 + 0.98 * math.cos(math.pi / 2 * self.step / self.steps))
            )
        _loss(self.unet, self.levels, batch, torch.Generator().manual_seed(self.seed * 10**7 + self.step)).backward()
        nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        keep = min(EMA, self.step / (self.step + 10))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.unet.parameters()), 1 - keep)

    def save(self, file: Path) -> None:
        parts = {"unet": self.unet, "averaged": self.averaged, "optimiser": self.optimiser}
        state = {name: part.state_dict() for name, part in parts.items()} | {"step": self.step}
        torch.save(state, file.with_suffix(".partial"))
        file.with_suffix(".partial").rename(file)

    def resume(self, file: Path) -> None:
        if not file.is_file():
            return
        state = torch.load(file, weights_only=True, map_location=self.device)
        self.unet.load_state_dict(state["unet"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])


def _loss(
    unet: UNet2DModel, levels: Tensor, batch: tuple[Tensor, Tensor, Tensor], generator: torch.Generator
) -> Tensor:
    """The error of the clean picture guessed under noise, mostly in the holes that were made."""
    clean, hole, learned = (part.to(unet.device) for part in batch)
    times = torch.randint(0, len(levels), (len(clean),), generator=generator)
    noise = torch.randn(clean.shape, generator=generator).to(unet.device)
    kept = levels[times].to(unet.device)[:, None, None, None]
    noisy = clean * kept.sqrt() + noise * (1 - kept).sqrt()
    with torch.autocast(unet.device.type, torch.bfloat16):
        beside = shot_model.condition(clean, hole)
        guess = unet(torch.cat([noisy, beside], dim=1), times.to(unet.device)).sample
    weight = learned * (AROUND + (1 - AROUND) * hole)
    # the error of a guess matters as far as the noise leaves the picture legible (min-SNR; Hang et al., 2023)
    trust = (kept / (1 - kept).clamp_min(1e-4)).clamp(0.2, 5)
    loss: Tensor = ((guess.float() - clean).abs() * weight * trust).sum() / (weight * trust).sum().clamp_min(1) / 3
    return loss


def _pictures(frames: Sequence[Image], holes: Sequence[Region]) -> list[Pyramid]:
    """The frames at the size at which their holes will be filled; nothing of what the holes cover is left in them."""
    if not frames:
        raise ValueError("There are no frames to fit to.")
    if not any((~hole).any() for hole in holes):
        raise ValueError("The mattes cover every frame, so nothing is left to fit to: use smaller mattes.")
    scale = _scale(holes)
    height, width = frames[0].shape[:2]
    size = (max(CROP_PX, round(width * scale)), max(CROP_PX, round(height * scale)))
    return [
        Pyramid(
            np.clip(cv2.resize(smooth_fill(frame, ~hole), size, interpolation=cv2.INTER_AREA), 0, 1),
            cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0,
        )
        for frame, hole in zip(frames, holes, strict=True)
    ]


def _scale(holes: Sequence[Region]) -> float:
    """How much smaller than the plate the picture of a usual hole with its surroundings is."""
    sides = [max(np.ptp(np.nonzero(hole), axis=1) + 1) for hole in holes if hole.any()]
    side = float(np.median(sides)) if sides else 32.0
    return min(1.0, shot_model.LONG_SIDE / (2.5 * side + 48))


def _batch(pictures: Sequence[Pyramid], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures [n, 3, 64, 64] in -1..1, holes [n, 1, 64, 64], and where they may be learned from."""
    drawn = [_crop(pictures[int(rng.integers(len(pictures)))], rng) for _ in range(BATCH)]
    clean = torch.from_numpy(np.stack([picture.transpose(2, 0, 1) for picture, _ in drawn])) * 2 - 1
    covered = torch.from_numpy(np.stack([hole for _, hole in drawn]).astype(np.float32))[:, None]
    made = torch.from_numpy(np.stack([_made_hole(pictures, rng) for _ in drawn]).astype(np.float32))[:, None]
    return clean, torch.maximum(covered, made), 1 - covered


def _crop(source: Pyramid, rng: np.random.Generator) -> tuple[Image, Region]:
    """A crop of any scale and place, mirrored or not, with what its own hole covers."""
    height, width = source.hole.shape
    side = min(height, width, round(CROP_PX * float(np.exp(rng.uniform(*np.log(SCALES))))))
    for _ in range(8):
        y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        hole = source.hole[y : y + side, x : x + side]
        if hole.mean() < 0.3:
            break
    picture = source.picture[y : y + side, x : x + side]
    picture = cv2.resize(
        picture, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA if side > CROP_PX else cv2.INTER_CUBIC
    )
    gap = cv2.resize(hole.astype(np.float32), (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR) > 0
    if rng.random() < 0.5:
        picture, gap = picture[:, ::-1], gap[:, ::-1]
    return np.ascontiguousarray(np.clip(picture, 0, 1)), np.ascontiguousarray(gap)


def _made_hole(pictures: Sequence[Pyramid], rng: np.random.Generator) -> Region:
    """A hole in the middle part of a crop: the shape of a matte, or an ellipse."""
    sides = rng.uniform(0.25, 0.62, 2) * CROP_PX
    width, height = (max(4, round(float(side))) for side in sides)
    matte = pictures[int(rng.integers(len(pictures)))].hole
    if matte.any() and rng.random() < 0.6:
        rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
        shape = matte[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
        shape = cv2.resize(shape, (width, height), interpolation=cv2.INTER_AREA)
    else:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        shape = (np.hypot(x, y) <= 1).astype(np.float32)
    hole = np.zeros((CROP_PX, CROP_PX), bool)
    top, left = int(rng.integers(CROP_PX - height + 1)), int(rng.integers(CROP_PX - width + 1))
    hole[top : top + height, left : left + width] = shape > 0.3
    return hole


def _publish(unet: UNet2DModel, out: Path) -> None:
    """The finished folder; the checkpoint is no longer needed."""
    shot_model.save(unet.to("cpu"), out)
    (out / "checkpoint.pt").unlink(missing_ok=True)
