"""Remove: what other frames show behind the matte; for the rest, one invention that the whole window shares.

The hole that no frame shows is painted once, on the mosaic of the frames, and carried back to each by the motion of
the background, so that it stands still where the background does (mosaic.py).
"""

from __future__ import annotations

import numpy as np
import torch

from latensify_bridge.effects import Fill, Remove
from latensify_bridge.frames import Edited
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import clean_plate as plates
from latensify_server.diffusion.clean_plate import Found, Shot
from latensify_server.diffusion.fill import Region, grain_of, with_grain
from latensify_server.diffusion.invent import Imagine, Painter, fitted, imagined
from latensify_server.diffusion.matte import drawn, grow, matte_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.mosaic import completed
from latensify_server.diffusion.parallel import Report, each, workers
from latensify_server.diffusion.result import edited_box, nothing_edited
from latensify_server.engine import ProgressCall, WindowEdit

SAFETY_PX = 2.0
"""Around a drawn matte, pixels of another frame are not taken for background: edges of the object, its motion blur."""

FAINT = 0.02
"""A matte no stronger than this counts as noise of its file: nothing is painted there."""


def remove(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One edited frame for each plate of the window. Raises what `progress` raises."""
    assert isinstance(work.params, Remove)
    imagine = _fitted(work, model.device.type)
    if imagine is None and work.params.fill is not Fill.CLASSICAL and work.params.strength > 0:
        imagine = imagined(model, work.params)
    return _removed(work, imagine, progress, workers(model.device))


def classically(work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """The same without a large model: unseen pixels come from patches, or from the model fitted to the shot."""
    return _removed(work, _fitted(work, "cpu"), progress, workers(torch.device("cpu")))


def _fitted(work: WindowEdit, device: str) -> Imagine | None:
    """The model fitted to the shot, if it is asked for and there."""
    assert isinstance(work.params, Remove)
    if work.params.fill is not Fill.FITTED or work.fit is None or work.params.strength == 0:
        return None
    return fitted(work.fit, device, work.params)


def _removed(work: WindowEdit, imagine: Imagine | None, progress: ProgressCall, threads: int) -> list[Edited]:
    params = work.params
    assert isinstance(params, Remove)
    mattes = [matte_of(plate, work) for plate in work.plates]
    linear = [colour.to_linear(plate.pixels[..., :3], params.colour_space) for plate in work.plates]
    progress(0.02, "following the background")
    holes = [matte > FAINT for matte in mattes]
    shows = [grow(drawn(plate, work), SAFETY_PX * work.render_scale) <= FAINT for plate in work.plates]
    shot = plates.shot_of(linear, holes, shows, params.motion)
    found = _seen(shot, params, threads, progress)
    painter = Painter(params, imagine, lambda done: progress(0.4, "painting"))
    whole = completed(shot, found, painter.fill, lambda done: progress(0.4 + 0.5 * done, "painting"))

    def finish(index: int, report: Report) -> Edited:
        if not holes[index].any():
            return nothing_edited(work)
        grained = _grained(shot, index, whole[index], found[index].missing, work)
        return edited_box(grained, mattes[index], work)

    indices = range(len(linear))
    return each(indices, finish, lambda done: progress(0.95 + 0.05 * done, "finishing"), threads)


def _seen(shot: Shot, params: Remove, threads: int, progress: ProgressCall) -> list[Found]:
    """Each frame with what others show filled in."""
    if not params.propagate or len(shot.linear) == 1:
        return [plates.untouched(shot, index) for index in range(len(shot.linear))]

    def look(index: int, report: Report) -> Found:
        return plates.clean_plate(shot, index)

    return each(range(len(shot.linear)), look, lambda done: progress(0.05 + 0.35 * done, "looking behind"), threads)


def _grained(shot: Shot, index: int, found: Found, invented: Region, work: WindowEdit) -> Image:
    """A filled frame with the grain that it lacks: a mean of frames has little of it, and so may a painting."""
    params = work.params
    assert isinstance(params, Remove)
    if params.grain == 0:
        return found.pixels
    plate, hole = shot.linear[index], shot.holes[index]
    box = plates.around(hole)
    own = grain_of(plate[box.slices], ~hole[box.slices])
    painted = grain_of(found.pixels[box.slices], invented[box.slices])
    lack = np.sqrt(np.maximum(1 - (painted / np.maximum(own, 1e-6)) ** 2, 0)).mean()
    where = np.where(invented, lack, np.sqrt(np.maximum(1 - 1 / found.frames, 0))).astype(np.float32)
    return with_grain(found.pixels, where, own * np.float32(params.grain), params.seed, work.plates[index].number)
