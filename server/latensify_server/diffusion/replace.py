"""Replace: a new object inside the matte, painted by the model in a close view of it.

The view is of one size in all frames of a window and follows the matte, so that the model's few pixels are spent on
the object and not on the rest of the frame. Around the matte the model's picture is compared with the plate, and the
difference carried smoothly into it, so that no seam is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from latensify_bridge.choices import Quality
from latensify_bridge.effects import Replace
from latensify_bridge.errors import BadParameter
from latensify_bridge.frames import Box, Edited
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import pictures, sampling
from latensify_server.diffusion.fill import Region, grain_of, smooth_fill, with_grain
from latensify_server.diffusion.matte import Matte, box_of, matte_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.parallel import Report, each, workers
from latensify_server.diffusion.result import edited_box, nothing_edited
from latensify_server.diffusion.sampling import Glances
from latensify_server.diffusion.steady import Pair, steadied
from latensify_server.diffusion.transfer import transfer
from latensify_server.diffusion.whole_frame import in_agreement
from latensify_server.engine import Plate, ProgressCall, WindowEdit

LONG_SIDE = {Quality.FINAL: 256, Quality.DRAFT: 160}
CONTEXT = 0.6
"""Surroundings on each side of the matte, as a part of its longer side."""

CONTEXT_PX = 16
FAINT = 0.02
"""A matte no stronger than this counts as noise of its file: nothing is painted there."""


def replace(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One edited frame for each plate of the window.

    Raises BadParameter without a prompt, and what `progress` raises.
    """
    params = work.params
    assert isinstance(params, Replace)
    if not params.text():
        raise BadParameter("Replace needs to know what to put there: type a prompt, or choose an object.")
    mattes = [_cleaned(matte_of(plate, work)) for plate in work.plates]
    concerned = [index for index, matte in enumerate(mattes) if matte.any()]
    views = dict(zip(concerned, views_of([mattes[index] for index in concerned]), strict=True))

    def pair(index: int, glances: Glances, report: Report) -> Pair:
        return _pair(model, work, work.plates[index], mattes[index], views[index], report, glances)

    def finish(index: int, report: Report) -> Edited:
        edited = steadied(pairs, concerned.index(index))
        seen = pairs[concerned.index(index)].seen
        return laid(work, work.plates[index], mattes[index], views[index], Pair(seen, edited))

    threads = workers(model.device)
    pairs = in_agreement(concerned, pair, lambda done: progress(0.9 * done, "denoising"), threads)
    finished = each(concerned, finish, lambda done: progress(0.9 + 0.1 * done, "laying in"), threads)
    results = dict(zip(concerned, finished, strict=True))
    return [results.get(index) or nothing_edited(work) for index in range(len(work.plates))]


def views_of(mattes: Sequence[Matte]) -> list[Box]:
    """A box around each matte (none is empty): of one size, inside the frame, centred on the matte where it can be."""
    if not mattes:
        return []
    frame_height, frame_width = mattes[0].shape
    boxes = [box_of(matte) for matte in mattes]
    longest = max(max(box.width, box.height) for box in boxes)
    margin = 2 * (CONTEXT_PX + round(CONTEXT * longest))
    width = min(frame_width, max(box.width for box in boxes) + margin)
    height = min(frame_height, max(box.height for box in boxes) + margin)
    views = []
    for box in boxes:
        x0 = min(max(0, box.x0 + (box.width - width) // 2), frame_width - width)
        y0 = min(max(0, box.y0 + (box.height - height) // 2), frame_height - height)
        views.append(Box(x0, y0, width, height))
    return views


def _cleaned(matte: Matte) -> Matte:
    return np.where(matte > FAINT, matte, np.float32(0))


@torch.no_grad()
def _pair(
    model: Model, work: WindowEdit, plate: Plate, matte: Matte, view: Box, report: Report, glances: Glances
) -> Pair:
    params = work.params
    assert isinstance(params, Replace)
    linear = colour.to_linear(plate.pixels[..., :3][view.slices], params.colour_space)
    size = pictures.fitted(view.width, view.height, work.pixel_aspect, LONG_SIDE[params.quality], model.multiple)
    source = pictures.encode_picture(model, pictures.resized(colour.to_display(linear), size))
    seen = pictures.decode_picture(model, source)
    if params.strength == 0:
        return Pair(seen, seen)
    edited = sampling.edit(
        model,
        source,
        pictures.latent_mask(model, matte[view.slices], source),
        params.text(),
        params.negative_prompt,
        params.strength,
        params.guidance_scale,
        pictures.steps_of(params),
        pictures.still_noise(model, source, params.seed),
        report,
        glances=glances,
    )
    return Pair(seen, pictures.decode_picture(model, edited))


def laid(work: WindowEdit, plate: Plate, matte: Matte, view: Box, pair: Pair) -> Edited:
    """The painted view in its place, joined to the plate around the matte and with its grain."""
    params = work.params
    assert isinstance(params, Replace)
    linear = colour.to_linear(plate.pixels[..., :3], params.colour_space)
    own = linear[view.slices]
    known = matte[view.slices] == 0
    painted = colour.to_display(transfer(own, pair.seen, pair.edited, params.detail))
    if known.any():
        painted = painted + smooth_fill(colour.to_display(own) - painted, known)
    made = colour.from_display(np.minimum(painted, 1))
    strength = params.grain * _missing_grain(own, made, known)
    linear[view.slices] = with_grain(made, (~known).astype(np.float32), strength, params.seed, plate.number)
    return edited_box(linear, matte, work)


def _missing_grain(plate: Image, made: Image, known: Region) -> Image:
    """The grain that what was made lacks against the plate around it, for each channel."""
    missing: Image = np.sqrt(np.maximum(grain_of(plate, known) ** 2 - grain_of(made, ~known) ** 2, 0))
    return missing
