"""Textures as functions of world coordinates: true under any camera, and smoothed where a pixel covers more of them.

All take flat float32 arrays of one number a ray; `footprint` is how many metres of the surface a pixel spans there.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from latensify_server.training.looks import Image, floats, ramp
from latensify_server.training.worlds import stream

TILE = 256
GRAIN = 8.0  # texels of the tile to a wave of its noise
Rgb = tuple[float, float, float]
SKY_TOP, SKY_LOW = (0.3, 0.52, 0.86), (0.78, 0.87, 0.95)
GROUND_COLOURS: dict[str, tuple[Rgb, Rgb]] = {
    "grass": ((0.29, 0.42, 0.16), (0.48, 0.58, 0.27)),
    "sand": ((0.72, 0.62, 0.44), (0.87, 0.79, 0.61)),
    "road": ((0.3, 0.3, 0.32), (0.41, 0.41, 0.43)),
    "water": ((0.1, 0.27, 0.37), (0.2, 0.42, 0.52)),
    "pavement": ((0.55, 0.52, 0.49), (0.68, 0.66, 0.62)),
}
WAVES: dict[str, tuple[tuple[float, float], ...]] = {  # metres a wave, share
    "grass": ((3.0, 0.45), (0.9, 0.4), (0.3, 0.6), (0.12, 0.5)),
    "sand": ((3.5, 0.5), (1.1, 0.35), (0.3, 0.3)),
    "road": ((4.0, 0.5), (0.8, 0.25), (0.2, 0.3)),
    "water": ((2.4, 0.5), (0.8, 0.3)),
    "pavement": ((3.0, 0.5), (0.7, 0.25), (0.2, 0.25)),
}


@lru_cache
def tile() -> Image:
    """Smooth noise of mean 0 and deviation 1 that repeats without a seam, one texel wider than its period."""
    white = np.random.default_rng(20).standard_normal((TILE, TILE)).astype(np.float32)
    wide = np.pad(white, 16, mode="wrap")
    soft = cv2.GaussianBlur(wide, (0, 0), GRAIN / 3.2)[16:-16, 16:-16]
    return floats(np.pad((soft - soft.mean()) / soft.std(), ((0, 1), (0, 1)), mode="wrap"))


def noise(u: Image, v: Image, wave: float, at: tuple[float, float] = (0.0, 0.0)) -> Image:
    """Smooth noise whose waves are `wave` long in the units of u and v, moved by `at` periods; mean 0, deviation 1."""
    scale = np.float32(GRAIN / wave)
    x, y = u * scale + np.float32(at[0] * TILE), v * scale + np.float32(at[1] * TILE)
    x -= np.floor(x * np.float32(1 / TILE)) * np.float32(TILE)
    y -= np.floor(y * np.float32(1 / TILE)) * np.float32(TILE)
    return lookup(tile(), x, y)


def lookup(table: Image, x: Image, y: Image) -> Image:
    """Entries of a table [rows, columns] at fractional columns x and rows y (flat), interpolated."""
    rows = -(-x.size // TILE)
    grid = np.zeros((2, rows * TILE), np.float32)
    grid[0, : x.size], grid[1, : x.size] = x, y
    across, down = grid.reshape(2, rows, TILE)
    found = cv2.remap(table, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return floats(found.ravel()[: x.size])


def shown(footprint: Image, wave: float) -> Image:
    """How much of a wave is left where a pixel spans `footprint`: all below a fifth of it, nothing from a half."""
    return 1 - ramp(footprint, 0.2 * wave, 0.5 * wave)


def octaves(
    u: Image,
    v: Image,
    waves: tuple[tuple[float, float], ...],
    footprint: Image,
    rng: np.random.Generator,
    v_scale: float = 1,
) -> Image:
    """A sum of noises of several waves, each faded out where it would alias."""
    total = np.zeros_like(u)
    for wave, share in waves:
        place = rng.random(2)
        near = footprint < 0.5 * wave
        if near.any():
            whole = bool(near.all())
            pick = slice(None) if whole else near
            found = noise(u[pick], v[pick] * np.float32(v_scale), wave, (float(place[0]), float(place[1])))
            total[pick] += np.float32(share) * found * shown(footprint[pick], wave)
    return total


def blend(low: Rgb | Image, high: Rgb | Image, weight: Image) -> Image:
    """Between two colours by a weight [n]; [n, 3]."""
    start, end = floats(low), floats(high)
    return floats(start + (end - start) * weight[:, None])


def tinted(colours: tuple[Rgb, Rgb], rng: np.random.Generator, spread: float) -> tuple[Image, Image]:
    """Both colours moved alike at random, so that no two worlds' are the same."""
    gain = floats(1 + rng.uniform(-spread, spread) + rng.uniform(-spread / 3, spread / 3, 3))
    return floats(colours[0]) * gain, floats(colours[1]) * gain


def ground(kind: str, seed: int, x: Image, z: Image, footprint: Image, frame: int) -> Image:
    """The ground's colour at x and z metres, [n, 3]."""
    rng = stream(seed, f"ground {kind}")
    low, high = tinted(GROUND_COLOURS[kind], rng, 0.12)
    if kind == "water":
        drift = np.float32(0.012 * frame)
        waves = octaves(x + drift, z, WAVES[kind], footprint, rng, 1.7) + octaves(
            x - drift, z + drift, ((0.5, 0.35),), footprint, rng, 1.7
        )
        return blend(low, high, np.clip(0.5 + 0.35 * waves, 0, 1))
    colour = blend(low, high, np.clip(0.5 + 0.42 * octaves(x, z, WAVES[kind], footprint, rng), 0, 1.2))
    if kind == "road":
        return _road(colour, x, z, footprint, rng)
    if kind == "pavement":
        slab = float(rng.uniform(0.7, 1.1))
        joints = np.maximum(_lines(x, slab, 0.035, footprint), _lines(z, slab, 0.035, footprint))
        tone = 0.9 + 0.2 * hashed(np.floor(x / slab), np.floor(z / slab), seed) * shown(footprint, 2 * slab)
        return floats(colour * (tone * (1 - 0.4 * joints))[:, None])
    if kind == "sand":
        ripples = np.sin((z + 0.25 * noise(x, z, 1.6)) * np.float32(2 * np.pi / 0.34)) * shown(footprint, 0.34)
        return floats(colour * (1 + 0.045 * ripples)[:, None])
    return colour


def _road(colour: Image, x: Image, z: Image, footprint: Image, rng: np.random.Generator) -> Image:
    """A road straight ahead: dashes in its middle, a line and a verge of grass on each side."""
    half, centre = float(rng.uniform(3.0, 4.4)), float(rng.uniform(-1.2, 1.2))
    across = np.abs(x - np.float32(centre))
    dashes = _stroke(across, 0.07, footprint) * ramp(np.sin(z * np.float32(2 * np.pi / 4)), -0.1, 0.1)
    edge = _stroke(np.abs(across - np.float32(half - 0.3)), 0.06, footprint)
    colour = blend(colour, (0.88, 0.88, 0.84), 0.85 * np.maximum(dashes, edge))
    verge = np.clip((across - half) / np.maximum(footprint, 0.1) + 0.5, 0, 1)
    low, high = tinted(GROUND_COLOURS["grass"], rng, 0.1)
    grass = blend(low, high, np.clip(0.5 + 0.42 * octaves(x, z, WAVES["grass"], footprint, rng), 0, 1.2))
    return blend(colour, grass, verge)


def _stroke(distance: Image, half: float, footprint: Image) -> Image:
    """A line of a half width in metres, no thinner than a pixel but fainter instead."""
    wide = np.maximum(footprint * np.float32(0.7), np.float32(half))
    return floats(np.clip((wide - distance) / wide * 2, 0, 1) * (half / wide))


def _lines(at: Image, pitch: float, half: float, footprint: Image) -> Image:
    """Lines every `pitch` metres, faded out far away."""
    distance = np.abs(at / np.float32(pitch) - np.round(at / np.float32(pitch))) * np.float32(pitch)
    return _stroke(distance, half, footprint) * shown(footprint, pitch)


def hashed(a: Image, b: Image, seed: int) -> Image:
    """A random number in 0..1 for each pair of whole numbers."""
    mixed = a.astype(np.int64) * 73856093 ^ b.astype(np.int64) * 19349663 ^ np.int64(seed % 1000003) * 83492791
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return floats((mixed >> 7) & 1023) / np.float32(1023)


def sky(seed: int, clouds: bool, dx: Image, dy: Image, dz: Image) -> Image:
    """The sky's colour in directions, [n, 3]; clouds lie on a high plane."""
    rng = stream(seed, "sky")
    top, low = tinted((SKY_TOP, SKY_LOW), rng, 0.07)
    rise = np.maximum(dy / np.sqrt(dx * dx + dy * dy + dz * dz), 0)
    colour = blend(low, top, np.clip(rise * 2.2, 0, 1) ** np.float32(0.7))
    if not clouds:
        return colour
    rng = stream(seed, "clouds in the sky")
    level = 1 / (rise + np.float32(0.16))
    u, v = dx * level, dz * level
    place = rng.random((3, 2))
    puffs = sum(
        s * noise(u, v * np.float32(1.5), w, tuple(p))
        for (w, s), p in zip(((2.6, 0.75), (1.1, 0.4), (0.5, 0.22)), place, strict=True)
    )
    cover = ramp(floats(puffs), float(rng.uniform(-0.5, 0.3)), 1.1) * ramp(rise, 0.0, 0.12)
    shade = np.clip(0.93 - 0.07 * floats(puffs), 0.74, 1)
    return floats(colour + (shade[:, None] * floats([1.0, 1.0, 1.01]) - colour) * (0.92 * cover)[:, None])


def horizon_colour(seed: int) -> Image:
    """The colour of haze: the sky's at the horizon, [3]."""
    return tinted((SKY_TOP, SKY_LOW), stream(seed, "sky"), 0.07)[1]
