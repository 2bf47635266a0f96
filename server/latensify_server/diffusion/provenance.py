"""Where the pixels of a result come from, as flat colours over the plate."""

from __future__ import annotations

import numpy as np

from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion.clean_plate import Found
from latensify_server.diffusion.fill import Region

PROPAGATED = np.array([0.1, 0.75, 0.25], np.float32)
INVENTED = np.array([0.9, 0.15, 0.1], np.float32)
MOVING = np.array([0.15, 0.35, 0.95], np.float32)
"""sRGB; what is left as it is was seen in the plate itself."""


def painted(linear: Image, hole: Region, found: Found, moving: Region) -> Image:
    """The plate, scene-linear [h, w, 3], with its hole in the colours of where its pixels come from.

    Args:
        found: before anything was invented.
        moving: [h, w], what comes from elsewhere in the same frame.
    """
    shown = linear.copy()
    for region, value in ((hole, PROPAGATED), (found.missing, INVENTED), (moving, MOVING)):
        shown[region] = colour.decode_srgb(value[None, None])[0, 0]
    return shown
