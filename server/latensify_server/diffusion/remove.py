"""Remove: what other frames show behind the matte; for the rest, one invention that the whole window shares.

The hole that no frame shows is painted once, on the middle frame, and carried to the others by the motion of the
background, so that it stands still where the background does. What is out of that frame's sight is carried from the
nearest frame that has it, and painted only if none has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latensify_bridge.effects import Remove
from latensify_bridge.frames import Edited
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import clean_plate as plates
from latensify_server.diffusion.clean_plate import Shot
from latensify_server.diffusion.fill import Region, grain_of, with_grain
from latensify_server.diffusion.invent import Painter
from latensify_server.diffusion.matte import drawn, grow, matte_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.parallel import Report, each, workers
from latensify_server.diffusion.result import edited_box, nothing_edited
from latensify_server.engine import ProgressCall, WindowEdit

SAFETY_PX = 2.0
"""Around a drawn matte, pixels of another frame are not taken for background: edges of the object, its motion blur."""

FAINT = 0.02
"""A matte no stronger than this counts as noise of its file: nothing is painted there."""


def remove(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One edited frame for each plate of the window. Raises what `progress` raises."""
    params = work.params
    assert isinstance(params, Remove)
    mattes = [matte_of(plate, work) for plate in work.plates]
    linear = [colour.to_linear(plate.pixels[..., :3], params.colour_space) for plate in work.plates]
    progress(0.02, "following the background")
    holes = [matte > FAINT for matte in mattes]
    shows = [grow(drawn(plate, work), SAFETY_PX * work.render_scale) <= FAINT for plate in work.plates]
    shot = plates.shot_of(linear, holes, shows, params.motion)
    found = _seen(shot, params, workers(model.device), progress)
    filled = _invented(shot, found, model, params, progress)

    def finish(index: int, report: Report) -> Edited:
        if not holes[index].any():
            return nothing_edited(work)
        invented = found[index][1].astype(np.float32)
        strength = _missing_grain(linear[index], filled[index], holes[index], found[index][1])
        grained = with_grain(filled[index], invented, strength, params.seed, work.plates[index].number)
        return edited_box(grained, mattes[index], work)

    indices = range(len(linear))
    return each(indices, finish, lambda done: progress(0.95 + 0.05 * done, "finishing"), workers(model.device))


def _seen(shot: Shot, params: Remove, threads: int, progress: ProgressCall) -> list[tuple[Image, Region]]:
    """Each frame with what others show filled in, and where in its hole none shows anything."""
    if not params.propagate or len(shot.linear) == 1:
        return list(zip(shot.linear, shot.holes, strict=True))

    def look(index: int, report: Report) -> tuple[Image, Region]:
        return plates.clean_plate(shot, index)

    return each(range(len(shot.linear)), look, lambda done: progress(0.05 + 0.35 * done, "looking behind"), threads)


def _invented(
    shot: Shot, found: list[tuple[Image, Region]], model: Model, params: Remove, progress: ProgressCall
) -> list[Image]:
    """Every frame whole: the anchor first, then outwards from it."""
    whole: dict[int, Image] = {}
    for index in sorted(range(len(found)), key=lambda index: (abs(index - shot.anchor), index)):
        pixels, missing = found[index]
        if params.propagate:
            pixels, missing = _carried(shot, whole, index, pixels, missing)
        base = 0.4 + 0.5 * len(whole) / len(found)

        def report(done: float, base: float = base) -> None:
            progress(base + 0.5 / len(found) * done, "painting")

        report(0.0)
        painter = Painter(model, params, report)
        whole[index] = painter.fill(pixels, missing)
    return [whole[index] for index in range(len(found))]


def _carried(shot: Shot, whole: dict[int, Image], target: int, pixels: Image, missing: Region) -> tuple[Image, Region]:
    """What whole frames have for the target's missing pixels: the one that it is aligned to first, then the nearest."""
    pixels, missing = pixels.copy(), missing.copy()
    everywhere = np.ones(missing.shape, bool)
    root = shot.places[target].root
    for source in sorted(whole, key=lambda index: (index != root, abs(index - target), index)):
        if not missing.any():
            break
        box = plates.around(missing)
        brought = plates.bring(shot, source, target, box, whole[source], everywhere)
        if brought is not None:
            taken = brought.valid & missing[box.slices]
            pixels[box.slices][taken] = brought.pixels[taken]
            missing[box.slices] &= ~taken
    return pixels, missing


def _missing_grain(plate: Image, filled: Image, hole: Region, invented: Region) -> NDArray[np.float32]:
    """The grain that an invented part lacks against the plate around it."""
    box = plates.around(hole)
    around = grain_of(plate[box.slices], ~hole[box.slices])
    inside = grain_of(filled[box.slices], invented[box.slices])
    missing: NDArray[np.float32] = np.sqrt(np.maximum(around**2 - inside**2, 0))
    return missing
