"""A frame with margins around it, for what is painted beyond its edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import OpenImageIO as oiio

from latensify_bridge.framing import Margins
from latensify_server.media.image import LEVELS, Image, Part
from latensify_server.media.pixels import canvas


def grown(image: Image, margins: Margins) -> Image:
    """The frame on a canvas larger by the margins: its own pixels to the bit, around them black, where alpha is solid.

    The display and the data window both become the canvas. In an EXR the old pixels keep their coordinates, so that the
    canvas may begin below 0; other channels are 0 in the margin.
    """
    if margins == Margins():
        return image
    whole = canvas(image)
    x0, y0 = whole.x0 - margins.left, whole.y0 - margins.top
    width, height = whole.width + margins.across, whole.height + margins.down
    pixels = np.zeros((height, width, image.pixels.shape[2]), image.pixels.dtype)
    own = (
        slice(image.data.y0 - y0, image.data.y0 - y0 + image.data.height),
        slice(image.data.x0 - x0, image.data.x0 - x0 + image.data.width),
    )
    if image.alpha is not None:
        pixels[..., image.alpha] = LEVELS.get(image.pixels.dtype, 1)
        inner = (slice(whole.y0 - y0, whole.y0 - y0 + whole.height), slice(whole.x0 - x0, whole.x0 - x0 + whole.width))
        pixels[(*inner, image.alpha)] = 0
    pixels[own] = image.pixels
    kept = image.name.lower().endswith(".exr")
    at = (x0, y0) if kept else (0, 0)
    parts = tuple(Part(_shown(part.spec, at, width, height), part.pixels) for part in image.parts)
    spec = _shown(image.spec, at, width, height)
    spec.x, spec.y, spec.width, spec.height = *at, width, height
    return replace(image, pixels=pixels, spec=spec, parts=parts)


def _shown(spec: oiio.ImageSpec, at: tuple[int, int], width: int, height: int) -> oiio.ImageSpec:
    """A spec with another display window."""
    other = oiio.ImageSpec(spec)
    other.full_x, other.full_y, other.full_width, other.full_height = *at, width, height
    return other
