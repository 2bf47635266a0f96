"""Remove: what other frames show behind the matte; for the rest, one invention that the whole window shares.

The hole that no frame shows is painted once, on the mosaic of the frames, and carried back to each by the motion of
the background, so that it stands still where the background does (mosaic.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from latensify_bridge.choices import Fill, Output
from latensify_bridge.effects import Remove
from latensify_bridge.frames import Edited
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import clean_plate as plates
from latensify_server.diffusion.clean_plate import Found, Shot
from latensify_server.diffusion.fill import Region, grain_of, with_grain
from latensify_server.diffusion.invent import Imagine, Painter, fitted, imagined
from latensify_server.diffusion.matte import Matte, drawn, feather, grow
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.mosaic import completed, extent, stretches_of
from latensify_server.diffusion.moving import moved
from latensify_server.diffusion.parallel import Report, each, workers
from latensify_server.diffusion.provenance import painted
from latensify_server.diffusion.result import edited_box, nothing_edited
from latensify_server.diffusion.shadows import shadow_of
from latensify_server.engine import Plate, ProgressCall, WindowEdit

SAFETY_PX = 2.0
"""Around a drawn matte, pixels of another frame are not taken for background: edges of the object, its motion blur."""

TRANSLUCENT = 0.1
"""A drawn matte of this strength already covers the plate wholly: at a soft edge the object shines through."""

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
    mattes = [_covering(plate, work) for plate in work.plates]
    linear = [colour.to_linear(plate.pixels[..., :3], params.colour_space) for plate in work.plates]
    progress(0.02, "following the background")
    holes = [matte > FAINT for matte in mattes]
    shows = [grow(drawn(plate, work), SAFETY_PX * work.render_scale) <= FAINT for plate in work.plates]
    shot = plates.shot_of(linear, holes, shows, params.motion)
    if params.shadows and len(linear) > 1:
        shot, mattes = _with_shadows(shot, mattes, work, threads, progress)
    found, moving = _with_moving(shot, _seen(shot, params, threads, progress), params)
    painter = Painter(params, imagine, lambda done: progress(0.4, "painting"))
    whole = found
    if params.output is Output.RESULT:
        whole = completed(
            shot, found, params.propagate, painter.fill, lambda done: progress(0.4 + 0.5 * done, "painting")
        )

    def finish(index: int, report: Report) -> Edited:
        if not shot.holes[index].any():
            return nothing_edited(work)
        if params.output is Output.PROVENANCE:
            shown = painted(linear[index], shot.holes[index], found[index], moving[index])
            return edited_box(shown, mattes[index], work)
        grained = _grained(shot, index, whole[index], found[index].missing, work)
        return edited_box(grained, mattes[index], work)

    indices = range(len(linear))
    return each(indices, finish, lambda done: progress(0.95 + 0.05 * done, "finishing"), threads)


def _with_shadows(
    shot: Shot, mattes: list[Matte], work: WindowEdit, threads: int, progress: ProgressCall
) -> tuple[Shot, list[Matte]]:
    """The window with shadows and reflections of the object taken into its holes and mattes."""

    def look(index: int, report: Report) -> Region:
        return shadow_of(shot, index)

    indices = range(len(mattes))
    shadows = each(indices, look, lambda done: progress(0.02 + 0.03 * done, "looking for shadows"), threads)
    feather_px = work.params.mask_feather * work.render_scale
    grown = [
        np.maximum(matte, feather(shadow.astype(np.float32), feather_px))
        for matte, shadow in zip(mattes, shadows, strict=True)
    ]
    shows = tuple(one & ~shadow for one, shadow in zip(shot.shows, shadows, strict=True))
    return replace(shot, holes=tuple(matte > FAINT for matte in grown), shows=shows), grown


def _covering(plate: Plate, work: WindowEdit) -> Matte:
    """The matte of one plate, whole wherever the object shows at all, feathered outwards from there."""
    matte = drawn(plate, work)
    solid = np.where(matte > FAINT, np.minimum(matte / np.float32(TRANSLUCENT), np.float32(1)), matte)
    return feather(solid, work.params.mask_feather * work.render_scale)


def _seen(shot: Shot, params: Remove, threads: int, progress: ProgressCall) -> list[Found]:
    """Each frame with what others show filled in."""
    if not params.propagate or len(shot.linear) == 1:
        return [plates.untouched(shot, index) for index in range(len(shot.linear))]

    def look(index: int, report: Report) -> Found:
        return plates.clean_plate(shot, index)

    return each(range(len(shot.linear)), look, lambda done: progress(0.05 + 0.35 * done, "looking behind"), threads)


def _with_moving(shot: Shot, found: list[Found], params: Remove) -> tuple[list[Found], list[Region]]:
    """The frames with moving texture filled in, and where that is."""
    filled, where = list(found), [np.zeros_like(hole) for hole in shot.holes]
    if params.propagate:
        for members in stretches_of(shot):
            box = extent(shot, shot.holes, members)
            for index, (one, region) in zip(members, moved(shot, found, box, members), strict=True):
                filled[index], where[index] = one, region
    return filled, where


def _grained(shot: Shot, index: int, found: Found, invented: Region, work: WindowEdit) -> Image:
    """A filled frame with the grain that it lacks: a mean of frames has little of it, and so may a painting."""
    params = work.params
    assert isinstance(params, Remove)
    if params.grain == 0:
        return found.pixels
    own = np.where(np.isfinite(found.grain), found.grain, 0).astype(np.float32)
    box = plates.around(shot.holes[index])
    has = grain_of(found.pixels[box.slices], invented[box.slices])
    has = np.where(np.isfinite(has), has, 0)
    lack = np.sqrt(np.maximum(1 - (has / np.maximum(own, 1e-6)) ** 2, 0)).mean()
    where = np.where(invented, lack, np.sqrt(np.maximum(1 - 1 / found.frames, 0))).astype(np.float32)
    return with_grain(found.pixels, where, own * np.float32(params.grain), params.seed, work.plates[index].number)
