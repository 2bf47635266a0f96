"""What the plugin must give, worked out by latensify_bridge: frames of a shot, and their edits by the fake engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latensify_bridge.client import Session
from latensify_bridge.composite import composite, quantise
from latensify_bridge.frames import Box, Edited, to_half
from latensify_bridge.protocol import Report

from .ofx_host import DTYPES, Clip, Instance, OfxHost
from .servers import Server

RESTYLE, REMOVE = "org.latensify.restyle", "org.latensify.remove"
HEIGHT, WIDTH = 36, 71
LEVELS = {"byte": 255, "short": 65535}
Array = NDArray[Any]


def plate(frame: int, channels: int = 4, depth: str = "float", height: int = HEIGHT, width: int = WIDTH) -> Array:
    """Noise in 0..1, in float and half from -0.1 to 40; alpha has holes, and is white in places."""
    values = np.random.default_rng(1000 + frame).random((height, width, channels), np.float32)
    if depth in LEVELS:
        return np.asarray(np.rint(values * LEVELS[depth]), DTYPES[depth])
    values[..., :3] = values[..., :3] * 40.1 - 0.1
    if channels == 4:
        values[:4, :, 3], values[-4:, :, 3] = 0, 1
    return values.astype(DTYPES[depth])


def shot(first: int = 0, last: int = 23, **options: Any) -> Clip:
    return Clip({frame: plate(frame) for frame in range(first, last + 1)}, **options)


def soft_matte(height: int = HEIGHT, width: int = WIDTH) -> Array:
    """[height, width]: nothing on the left, everything on the right, every part between."""
    ramp = np.clip(np.linspace(-1, 2, width, dtype=np.float32), 0, 1)
    return np.repeat(ramp[None], height, axis=0)


def floats_of(pixels: Array, depth: str) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(LEVELS.get(depth, 1))


def sent(values: NDArray[np.float32], premultiplied: bool = False) -> NDArray[np.float16]:
    """A plate's colour as it travels: straight, half."""
    colour = values[..., :3]
    if premultiplied:
        alpha = values[..., 3:]
        colour = np.divide(colour, alpha, out=colour.copy(), where=alpha > 0)
    return to_half(colour)


def edited(
    pixels: Array, depth: str = "float", matte: Array | None = None, mix: float = 1.0, premultiplied: bool = False
) -> Array:
    """The plate in its own depth with the fake engine's edit laid over it; no matte is the whole frame."""
    values = floats_of(pixels, depth)
    mask = np.ones(values.shape[:2], np.float16) if matte is None else to_half(np.asarray(matte, np.float32))
    rgb = (1 - sent(values, premultiplied).astype(np.float32)).astype(np.float16)
    box = Box(x0=0, y0=0, width=values.shape[1], height=values.shape[0])
    with np.errstate(invalid="ignore"):  # NaN and infinity in the plate
        over = composite(values, Edited(box, rgb, mask), mix, premultiplied)[..., :3]
    out = pixels.copy()
    shown = mask.astype(np.float32) * np.float32(mix) > 0
    made = quantise(over, LEVELS[depth]) if depth in LEVELS else to_half(over) if depth == "half" else over
    out[..., :3][shown] = made.astype(DTYPES[depth])[shown]
    return out


def assert_same(found: Array | None, expected: Array) -> None:
    """Bit for bit: NaN equals NaN, and 0 is not -0."""
    assert found is not None
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    bits = np.dtype(f"u{found.dtype.itemsize}")
    np.testing.assert_array_equal(np.ascontiguousarray(found).view(bits), np.ascontiguousarray(expected).view(bits))


def restyle(
    host: OfxHost, endpoint: str, source: Clip | None = None, mask: Clip | None = None, **params: Any
) -> Instance:
    """Restyle with a look chosen, on windows of one frame unless asked otherwise."""
    stated = {"preset": "Winter", "server": endpoint, "window": 1, "overlap": 0, **params}
    clips = {"Source": source or shot(), **({"Mask": mask} if mask else {})}
    context = "general" if "general" in host.variant.contexts else "filter"
    return host.instance(RESTYLE, context, params=stated, clips=clips)


def remove(host: OfxHost, endpoint: str, mask: Clip, source: Clip | None = None, **params: Any) -> Instance:
    stated = {"server": endpoint, "window": 1, "overlap": 0, **params}
    return host.instance(REMOVE, "general", params=stated, clips={"Source": source or shot(), "Mask": mask})


def mask_of(matte: Array, **options: Any) -> Clip:
    """A Mask that is the same at every time."""
    return Clip(lambda _: matte[..., None], components="Alpha", frame_range=(-1000, 1000), **options)


def report(running: Server) -> Report:
    with Session(running.endpoint, "test") as session:
        return session.status()
