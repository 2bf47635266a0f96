"""DDIM inversion: the noise from which sampling gives a picture back.

Every step backwards (Song, Meng and Ermon, "Denoising Diffusion Implicit Models", 2021) is solved as a fixed point (Pan
et al., "Effective Real Image Editing with Accelerated Iterative Diffusion Inversion", 2023), by Anderson's method
(Walker and Ni, "Anderson Acceleration for Fixed-Point Iterations", 2011): the step next to the clean picture, where a
denoiser lets fine differences vanish, would need hundreds of plain iterations.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from latensify_server.diffusion.model import Model, denoise, embed
from latensify_server.diffusion.sampling import Progress, levels, schedule, split

MOST = 100
CLOSE = 1e-5
"""A step is refined until it moves by less than this part of itself, or MOST times."""

REMEMBERED = 5


@torch.no_grad()
def invert(model: Model, latents: Tensor, prompt: str, steps: int, progress: Progress) -> Tensor:
    """The noise from which DDIM under `prompt` gives `latents` back (text to image: no source, mask 1).

    Give the result to `sampling.edit` as `noise`, with strength 1, a source of zeros, guidance 1 and as many steps.
    """
    text = embed(model, [prompt])
    path = [-1, *reversed(schedule(model, steps))]
    inverted = []
    for index, known in enumerate(latents.split(1)):
        for number, (cleaner, noisier) in enumerate(pairwise(path)):
            known = _step_back(model, known, cleaner, noisier, text)
            progress((index + (number + 1) / (len(path) - 1)) / len(latents))
        inverted.append(known)
    return torch.cat(inverted)


def _step_back(model: Model, known: Tensor, cleaner: int, noisier: int, text: Tensor) -> Tensor:
    """The latents at `noisier` whose step to `cleaner` gives those known."""
    mask, source = torch.ones_like(known[:, :1]), torch.zeros_like(known)

    def refine(found: Tensor) -> Tensor:
        prediction = denoise(model, found, noisier, mask, source, text)
        return _unstep(model, prediction, noisier, cleaner, found, known)

    return fixed_point(refine, known)


def fixed_point(refine: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Where `refine` moves nothing any more, or as near as MOST refinements come."""
    found = start
    befores: list[Tensor] = []
    afters: list[Tensor] = []
    for _ in range(MOST):
        refined = refine(found)
        if float((refined - found).norm()) < CLOSE * float(refined.norm()):
            break
        befores = [*befores[1 - REMEMBERED :], found.flatten().double()]
        afters = [*afters[1 - REMEMBERED :], refined.flatten().double()]
        found = _extrapolated(befores, afters).to(start).view_as(start)
    return refined


def _extrapolated(befores: list[Tensor], afters: list[Tensor]) -> Tensor:
    """The mixture of what was refined that, were all linear, would move least."""
    moves = torch.stack(afters) - torch.stack(befores)
    if len(moves) == 1:
        return afters[0]
    weights = torch.linalg.lstsq(moves.diff(dim=0).T, moves[-1:].T, driver="gelsd").solution[:, 0]
    mixed: Tensor = afters[-1] - weights @ torch.stack(afters).diff(dim=0)
    return mixed


def _unstep(model: Model, prediction: Tensor, noisier: int, cleaner: int, latents: Tensor, known: Tensor) -> Tensor:
    """The latents at `noisier` from which a step gives `known` at `cleaner`, the velocity at `latents` held fixed."""
    clean, residue = split(model, prediction, noisier, latents)
    (signal, sigma), (signal_after, sigma_after) = levels(model, noisier), levels(model, cleaner)
    velocity, drift = residue * signal - clean * sigma, sigma * signal_after - signal * sigma_after
    return (known + velocity * drift) / (signal * signal_after + sigma * sigma_after)
