"""The frames of a window edited whole, one by one: what Restyle, Instruct and Generate share.

Each plate goes to the model small and display-referred; the change is steadied over the window and carried over to the
full-resolution plate, where it shows through the matte. The middle frame is edited first; the others glance at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from latensify_bridge.choices import Quality
from latensify_bridge.frames import Edited
from latensify_server import colour
from latensify_server.diffusion import pictures
from latensify_server.diffusion.attention import Anchor
from latensify_server.diffusion.matte import Matte, matte_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.parallel import Report, each, workers
from latensify_server.diffusion.result import edited_box, nothing_edited
from latensify_server.diffusion.sampling import Glances
from latensify_server.diffusion.steady import Pair, steadied
from latensify_server.diffusion.transfer import transfer
from latensify_server.engine import Plate, ProgressCall, WindowEdit

LONG_SIDE = {Quality.FINAL: 320, Quality.DRAFT: 224}


class Sample(Protocol):
    """How an effect edits a frame."""

    def __call__(self, source: Tensor, matte: Matte, report: Report, glances: Glances) -> Tensor | None:
        """Edited latents of a frame's [1, c, h, w], whose matte is at full resolution; None where they stay."""
        ...


def whole_frames(model: Model, work: WindowEdit, progress: ProgressCall, sample: Sample) -> list[Edited]:
    """One edited frame for each plate of the window. Raises what `progress` raises."""
    params = work.params
    mattes = [matte_of(plate, work) for plate in work.plates]
    concerned = [index for index, matte in enumerate(mattes) if matte.any()]

    threads = workers(model.device)

    def pair(index: int, glances: Glances, report: Report) -> Pair:
        return _pair(model, work, work.plates[index], mattes[index], sample, report, glances)

    def finish(index: int, report: Report) -> Edited:
        plate = work.plates[index]
        linear = colour.to_linear(plate.pixels[..., :3], params.colour_space)
        position = concerned.index(index)
        edited = steadied(pairs, position)
        return edited_box(transfer(linear, pairs[position].seen, edited, params.detail), mattes[index], work)

    pairs = in_agreement(concerned, pair, lambda done: progress(0.9 * done, "denoising"), threads)
    finished = each(concerned, finish, lambda done: progress(0.9 + 0.1 * done, "transferring"), threads)
    results = dict(zip(concerned, finished, strict=True))
    return [results.get(index) or nothing_edited(work) for index in range(len(work.plates))]


def in_agreement(
    frames: Sequence[int], pair: Callable[[int, Glances, Report], Pair], progress: Report, threads: int
) -> list[Pair]:
    """`pair` of every frame, in their order: of the middle one first, then of the others, which glance at it."""
    if not frames:
        return []
    anchor, middle, share = Anchor(), frames[len(frames) // 2], 1 / len(frames)
    others = [frame for frame in frames if frame != middle]
    first = pair(middle, anchor.recorder, lambda done: progress(share * done))
    rest = each(
        others,
        lambda frame, report: pair(frame, anchor.reader, report),
        lambda done: progress(share + (1 - share) * done),
        threads,
    )
    made = dict(zip([middle, *others], [first, *rest], strict=True))
    return [made[frame] for frame in frames]


@torch.no_grad()
def _pair(
    model: Model,
    work: WindowEdit,
    plate: Plate,
    matte: Matte,
    sample: Sample,
    report: Report,
    glances: Glances,
) -> Pair:
    height, width = plate.pixels.shape[:2]
    size = pictures.fitted(width, height, work.pixel_aspect, LONG_SIDE[work.params.quality], model.multiple)
    display = colour.to_display(colour.to_linear(plate.pixels[..., :3], work.params.colour_space))
    source = pictures.encode_picture(model, pictures.resized(display, size))
    seen = pictures.decode_picture(model, source)
    edited = sample(source, matte, report, glances)
    return Pair(seen, seen if edited is None else pictures.decode_picture(model, edited))
