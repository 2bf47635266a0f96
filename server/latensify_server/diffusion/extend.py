"""Extend: the frame on a larger canvas whose margin is a hole, which Remove fills.

What a panning camera shows of the margin in other frames of the window is brought in as Remove's clean plate; the rest
is patched and painted.
"""

from __future__ import annotations

import msgspec
import numpy as np

from latensify_bridge.effects import Extend, Remove
from latensify_bridge.errors import BadInput
from latensify_bridge.frames import Edited
from latensify_bridge.framing import Margins, margins_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.remove import remove
from latensify_server.engine import Plate, ProgressCall, WindowEdit

LARGEST_PX = 64_000_000
"""Of a canvas: a window of larger ones would fill the memory of most machines."""


def extend(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One edited frame for each plate of the window, its box on the larger canvas.

    The aspect has to be settled into margins (`framing.extended`) by who asks, who alone knows the full-size frame.
    Raises BadInput where the canvas is too large, and what `progress` raises.
    """
    params = work.params
    assert isinstance(params, Extend)
    margins = margins_of(params, work.render_scale)
    _check_size(work.plates[0], margins)
    plates = tuple(padded(plate, margins) for plate in work.plates)
    return remove(model, _removal(work, params, plates), progress)


def _check_size(plate: Plate, margins: Margins) -> None:
    height, width = plate.pixels.shape[0] + margins.down, plate.pixels.shape[1] + margins.across
    if width * height > LARGEST_PX:
        raise BadInput(
            f"The extended frame would be {width}x{height}; at most {LARGEST_PX / 1e6:.0f} million pixels "
            "can be edited: use smaller margins."
        )


def _removal(work: WindowEdit, params: Extend, plates: tuple[Plate, ...]) -> WindowEdit:
    """The same request as Remove understands it: every parameter that both have."""
    shared = {field.name for field in msgspec.structs.fields(Remove)}
    values = {name: value for name, value in msgspec.structs.asdict(params).items() if name in shared}
    removal = Remove(**values)
    return WindowEdit("remove", removal, plates, work.depth, work.render_scale, work.pixel_aspect, work.fit)


def padded(plate: Plate, margins: Margins) -> Plate:
    """A plate on the larger canvas: solid black in the margin, and a matte that is 1 there."""
    around = ((margins.top, margins.bottom), (margins.left, margins.right))
    pixels = np.pad(plate.pixels, (*around, (0, 0)))
    mask = np.pad(np.zeros(plate.pixels.shape[:2], np.float32), around, constant_values=1)
    pixels[mask > 0, 3] = 1
    return Plate(plate.number, pixels, mask)
