"""What an effect hands back: a box of the edited frame in the plate's own colour space and number format."""

from __future__ import annotations

import numpy as np

from latensify_bridge.frames import Box, Depth, Edited, to_half
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion.matte import Matte, box_of
from latensify_server.engine import WindowEdit


def edited_box(linear: Image, matte: Matte, work: WindowEdit) -> Edited:
    """The part of a scene-linear frame [height, width, 3] that its matte [height, width] lets through."""
    box = box_of(matte)
    rgb = colour.from_linear(linear[box.slices], work.params.colour_space)
    inside = np.ascontiguousarray(matte[box.slices])
    if work.depth is Depth.HALF:
        return Edited(box, to_half(rgb), to_half(inside))
    return Edited(box, rgb, inside)


def nothing_edited(work: WindowEdit) -> Edited:
    """The result for a frame whose matte is empty."""
    dtype = work.depth.dtype
    return Edited(Box(0, 0, 0, 0), np.zeros((0, 0, 3), dtype), np.zeros((0, 0), dtype))
