"""Restyle: the whole frame under a prompt, laid over the plate through its matte."""

from __future__ import annotations

import torch

from latensify_bridge.effects import Quality, Restyle
from latensify_bridge.frames import Edited
from latensify_server import colour
from latensify_server.diffusion import pictures, sampling
from latensify_server.diffusion.matte import matte_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.parallel import Report, each, workers
from latensify_server.diffusion.result import edited_box, nothing_edited
from latensify_server.diffusion.steady import Pair, steadied
from latensify_server.diffusion.transfer import transfer
from latensify_server.engine import Plate, ProgressCall, WindowEdit

LONG_SIDE = {Quality.FINAL: 384, Quality.DRAFT: 256}


def restyle(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One edited frame for each plate of the window. Raises what `progress` raises."""
    params = work.params
    assert isinstance(params, Restyle)
    mattes = [matte_of(plate, work) for plate in work.plates]
    concerned = [index for index, matte in enumerate(mattes) if matte.any()]

    def pair(index: int, report: Report) -> Pair:
        return _pair(model, work, work.plates[index], report)

    def finish(index: int, report: Report) -> Edited:
        plate = work.plates[index]
        linear = colour.to_linear(plate.pixels[..., :3], params.colour_space)
        position = concerned.index(index)
        edited = steadied(pairs, position)
        return edited_box(transfer(linear, pairs[position].seen, edited, params.detail), mattes[index], work)

    threads = workers(model.device)
    pairs = each(concerned, pair, lambda done: progress(0.9 * done, "denoising"), threads)
    finished = each(concerned, finish, lambda done: progress(0.9 + 0.1 * done, "transferring"), threads)
    results = dict(zip(concerned, finished, strict=True))
    return [results.get(index) or nothing_edited(work) for index in range(len(work.plates))]


@torch.no_grad()
def _pair(model: Model, work: WindowEdit, plate: Plate, report: Report) -> Pair:
    params = work.params
    assert isinstance(params, Restyle)
    height, width = plate.pixels.shape[:2]
    size = pictures.fitted(width, height, work.pixel_aspect, LONG_SIDE[params.quality], model.multiple)
    display = colour.to_display(colour.to_linear(plate.pixels[..., :3], params.colour_space))
    source = pictures.encode_picture(model, pictures.resized(display, size))
    seen = pictures.decode_picture(model, source)
    if params.strength == 0 or not params.text():
        return Pair(seen, seen)
    edited = sampling.edit(
        model,
        source,
        torch.ones_like(source[:, :1]),
        params.text(),
        params.negative_prompt,
        params.strength,
        params.guidance_scale,
        pictures.steps_of(params),
        pictures.still_noise(model, source, params.seed),
        report,
    )
    return Pair(seen, pictures.decode_picture(model, edited))
