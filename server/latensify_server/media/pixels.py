"""Between a stored frame and what travels: straight half RGBA on one canvas for the shot; and the edit laid back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latensify_bridge.composite import composite, quantise
from latensify_bridge.frames import Box, Edited, to_half
from latensify_server.media.image import LEVELS, Image, Rectangle, Stored, as_float

Float = NDArray[np.float32]


def canvas(image: Image) -> Rectangle:
    """What is sent of a frame: its display window, and what its data window holds beyond that."""
    return image.display.around(image.data)


def place(values: Float, data: Rectangle, onto: Rectangle) -> Float:
    """`values` [height, width, ...] of the rectangle `data` on the rectangle `onto`; zero where they do not reach."""
    out = np.zeros((onto.height, onto.width, *values.shape[2:]), np.float32)
    x, y = data.x0 - onto.x0, data.y0 - onto.y0
    left, top = max(0, x), max(0, y)
    right, bottom = min(onto.width, x + data.width), min(onto.height, y + data.height)
    if left < right and top < bottom:
        out[top:bottom, left:right] = values[top - y : bottom - y, left - x : right - x]
    return out


def colour(image: Image) -> Float:
    """RGB [height, width, 3] as stored, in float; grey three times."""
    rgb = as_float(image.pixels[..., image.colours])
    return np.repeat(rgb, 3, axis=2) if rgb.shape[2] == 1 else rgb


def alpha(image: Image) -> Float:
    """Alpha [height, width]; 1 where there is none."""
    if image.alpha is None:
        return np.ones(image.pixels.shape[:2], np.float32)
    return as_float(image.pixels[..., image.alpha])


def straight(image: Image) -> NDArray[np.float16]:
    """Half RGBA [height, width, 4] of the canvas, not premultiplied. Where alpha is 0 the colour stays as stored."""
    rgb, a = colour(image), alpha(image)[..., None]
    if image.premultiplied:
        rgb = np.divide(rgb, a, out=rgb.copy(), where=a > 0)
    return to_half(place(np.concatenate([rgb, a], axis=2), image.data, canvas(image)))


def luminance(rgb: Float) -> Float:
    """Rec.709 luminance [height, width] of RGB, summed in the plugin's order, to the bit."""
    red, green, blue = (np.float32(weight) * rgb[..., index] for index, weight in enumerate((0.2126, 0.7152, 0.0722)))
    summed: Float = red + green + blue
    return summed


def lay(image: Image, edited: Edited, mix: float) -> Image:
    """The frame with the edit over it. What the matte leaves out keeps its stored bytes, as do other channels."""
    part = _within(image, edited)
    rows, columns = part.box.slices
    region = image.pixels[rows, columns]
    local = replace(image, pixels=region)
    plate = np.concatenate([colour(local), alpha(local)[..., None]], axis=2)
    rgb = part.rgb.astype(np.float32)
    if len(image.colours) == 1:
        rgb = np.repeat(luminance(rgb)[..., None], 3, axis=2)
    here = Edited(box=Box(0, 0, part.box.width, part.box.height), rgb=rgb, matte=part.matte)
    laid = to_stored(composite(plate, here, mix, image.premultiplied)[..., : len(image.colours)], region.dtype)
    changed = part.matte.astype(np.float32) * np.float32(mix) > 0
    pixels = image.pixels.copy()
    for channel, index in enumerate(image.colours):
        pixels[rows, columns, index][changed] = laid[..., channel][changed]
    return replace(image, pixels=pixels)


def _within(image: Image, edited: Edited) -> Edited:
    """The part of an edit on the canvas that falls into the data window, in the data window's own coordinates."""
    whole, data, box = canvas(image), image.data, edited.box
    x, y = box.x0 + whole.x0 - data.x0, box.y0 + whole.y0 - data.y0
    left, top = max(0, x), max(0, y)
    width = max(0, min(data.width, x + box.width) - left)
    height = max(0, min(data.height, y + box.height) - top)
    rows, columns = slice(top - y, top - y + height), slice(left - x, left - x + width)
    if not width or not height:
        left = top = 0
    return Edited(Box(left, top, width, height), edited.rgb[rows, columns], edited.matte[rows, columns])


def to_stored(values: Float, dtype: np.dtype[np.generic]) -> Stored:
    """Float values at a depth: integers are 0..1 clamped and rounded, half is rounded to nearest even."""
    if dtype in LEVELS:
        return quantise(np.nan_to_num(values), LEVELS[dtype]).astype(dtype)
    if dtype == np.float16:
        return to_half(values)
    return values
