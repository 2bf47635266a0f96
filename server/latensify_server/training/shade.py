"""Colours of what rays meet: daylight from a sun behind the camera, shadows on the ground, reflections in water."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.training import skyline as skylines
from latensify_server.training import textures
from latensify_server.training.looks import Image, floats, ramp
from latensify_server.training.skyline import Skyline
from latensify_server.training.solids import PARTS, Vector
from latensify_server.training.textures import noise
from latensify_server.training.trace import GROUND, SKY, SKYLINE, Hits, bounds_of, foot, into_thing, shaded, trace
from latensify_server.training.worlds import COLOURS, Thing, World, stream

HAZE_M = 1400.0
SHADOW_TEXELS = 64
SHADOW, CONTACT = 0.42, 0.5
PALE, PALE_BAND, DARK_BAND = ("white", "yellow"), (0.93, 0.92, 0.9), (0.2, 0.2, 0.22)


@dataclass(frozen=True)
class Painted:
    """Colour [n, 3] in sRGB, lamps [n] and foliage [n] in 0..1 of n rays."""

    colour: Image
    lamps: Image
    foliage: Image


@dataclass(frozen=True)
class Sight:
    """What is looked at, and how finely: `unit` is how many metres a pixel spans one metre ahead."""

    world: World
    frame: int
    line: Skyline | None
    unit: float


def sun(seed: int) -> tuple[float, float, float]:
    """The direction to the sun, of length 1: high, and somewhere behind the camera."""
    rng = stream(seed, "sun")
    turn, rise = float(rng.uniform(0.35, 1.15) * rng.choice([-1, 1])), float(rng.uniform(0.55, 0.95))
    return float(np.sin(turn) * np.cos(rise)), float(np.sin(rise)), float(-np.cos(turn) * np.cos(rise))


def paint(sight: Sight, hits: Hits, ray: Vector, mirrored: bool = False) -> Painted:
    """The colours of hits; mirrored, as water shows them."""
    n, world, line = hits.depth.size, sight.world, sight.line
    colour, lamps, foliage = np.zeros((n, 3), np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
    if (at := np.flatnonzero(hits.what == SKY)).size:
        colour[at] = textures.sky(world.seed, world.clouds, *taken(ray, at))
    if line and (at := np.flatnonzero(hits.what == SKYLINE)).size:
        colour[at], lamps[at] = skylines.colour(line, hits.points[:, at], hits.depth[at] * np.float32(sight.unit))
        if line.kind in skylines.GREEN:
            foliage[at] = greenness(colour[at])
    if not mirrored and (at := np.flatnonzero(hits.what == GROUND)).size:
        colour[at], lamps[at], foliage[at] = _ground(sight, hits.depth[at], hits.points[:, at], taken(ray, at))
    haze = np.where((hits.what < 0) & (hits.what > SKY), 1 - np.exp(hits.depth * np.float32(-1 / HAZE_M)), 0)
    colour += (textures.horizon_colour(world.seed) - colour) * floats(haze)[:, None]
    for index in range(len(world.things)):
        if (at := np.flatnonzero(hits.what == index)).size:
            colour[at], lamps[at] = _thing(sight, index, hits, taken(ray, at), at)
    return Painted(colour, lamps, foliage)


def taken(vectors: Vector, at: NDArray[np.intp]) -> Vector:
    """Some of many vectors."""
    return vectors[0][at], vectors[1][at], vectors[2][at]


def greenness(colour: Image) -> Image:
    """How much a colour [n, 3] is that of leaves, [n]."""
    return ramp(colour[:, 1] - np.maximum(colour[:, 0] * 0.96, colour[:, 2]), 0.01, 0.07)


def _ground(sight: Sight, depth: Image, points: Image, ray: Vector) -> tuple[Image, Image, Image]:
    """Colour, lamps (mirrored in water) and foliage of the ground."""
    world, (x, _, z) = sight.world, points
    steep = np.clip(-ray[1] / np.sqrt(ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2), 1e-4, 1)
    footprint = depth * np.float32(sight.unit) * steep ** np.float32(-0.8)
    colour = textures.ground(world.ground, world.seed, x, z, footprint, sight.frame)
    light = np.ones_like(x)
    for thing in world.things:
        light *= 1 - _shadow(world.seed, thing, sight.frame, x, z)
    if world.ground != "water":
        return floats(colour * light[:, None]), np.zeros_like(x), greenness(colour)
    mirror, share = _mirror(sight, x, z, ray, steep, footprint)
    shown = colour * ((0.6 + 0.4 * light) * (1 - share))[:, None] + mirror.colour * share[:, None]
    return floats(shown), mirror.lamps * share, np.zeros_like(x)


def _mirror(sight: Sight, x: Image, z: Image, ray: Vector, steep: Image, footprint: Image) -> tuple[Painted, Image]:
    """What water shows of what stands above it, and how much of it."""
    drift = np.float32(0.015 * sight.frame)
    ripple = 0.05 * noise(x + drift, z * np.float32(2.0) - drift, 0.9) * textures.shown(footprint, 1.2)
    up = (ray[0] + ripple * steep * 2, -ray[1] * (1 + ripple * 3), ray[2])
    seen = trace(sight.world, sight.frame, sight.line, (x, np.full_like(x, 1e-3), z), up)
    share = 0.28 + 0.5 * (1 - steep) ** np.float32(3)
    return paint(sight, seen, up, mirrored=True), floats(share)


def _shadow(seed: int, thing: Thing, frame: int, x: Image, z: Image) -> Image:
    """How dark a thing makes the ground at x and z: a soft shadow from the sun, and a softer one where it stands."""
    towards = sun(seed)
    reach = float(np.abs(bounds_of(thing.shape)[:, [0, 2]]).max()) * thing.size * 1.25
    throw = (-towards[0] / towards[1] * thing.size, -towards[2] / towards[1] * thing.size)
    low = [min(0.0, part) - reach for part in throw]
    step = [(max(0.0, part) + reach - start) / (SHADOW_TEXELS - 1) for part, start in zip(throw, low, strict=True)]
    column, row = np.meshgrid(
        *(floats(start + np.arange(SHADOW_TEXELS) * size) for start, size in zip(low, step, strict=True))
    )
    cast, over = (
        shaded(thing, column.ravel(), row.ravel(), way).reshape(column.shape) for way in (towards, (0.0, 1.0, 0.0))
    )
    texel = thing.size / max(step)
    dark = 1 - (1 - SHADOW * _soft(cast, 0.035 * texel)) * (1 - CONTACT * _soft(over, 0.1 * texel))
    dark[[0, -1]] = dark[:, [0, -1]] = 0
    at_x, at_z = foot(thing, frame)
    u, v = (x - np.float32(at_x + low[0])) / np.float32(step[0]), (z - np.float32(at_z + low[1])) / np.float32(step[1])
    found = np.zeros_like(x)
    inside = np.flatnonzero((u > 0) & (u < SHADOW_TEXELS - 1) & (v > 0) & (v < SHADOW_TEXELS - 1))
    if inside.size:
        found[inside] = textures.lookup(dark, u[inside], v[inside])
    return found


def _soft(mask: Image, texels: float) -> Image:
    return floats(cv2.GaussianBlur(mask, (0, 0), max(texels, 0.6)))


def _thing(sight: Sight, index: int, hits: Hits, ray: Vector, at: NDArray[np.intp]) -> tuple[Image, Image]:
    """Colour and lamps of a thing's surface."""
    world, thing = sight.world, sight.world.things[index]
    parts, number = PARTS[thing.shape], hits.part[at]
    normal = hits.normal[:, at]
    normal /= np.maximum(np.sqrt((normal * normal).sum(axis=0)), 1e-6)
    x, y, z = hits.points[:, at]
    own = into_thing(thing, sight.frame, (x, y, z))
    coloured = np.array([part.colour is None for part in parts])[number]
    towards = floats(sun(world.seed))
    facing = np.maximum(towards @ normal, 0)
    light = (0.52 + 0.16 * normal[1] + 0.5 * facing) * (0.72 + 0.28 * ramp(own[1], 0.0, 0.22))
    colour = _surface(world.seed, thing, number, coloured, own) * light[:, None]
    if thing.material == "shiny":
        colour = _polished(world.seed, colour, normal, towards, ray, coloured)
    if world.weather == "snow":
        white = 0.92 * ramp(normal[1] + 0.12 * noise(own[0] + 0.3, own[2], 0.3), 0.55, 0.75)
        colour += (floats([0.93, 0.95, 0.98]) * (0.8 + 0.2 * facing[:, None]) - colour) * white[:, None]
    return floats(colour), floats([part.lamp for part in parts])[number]


def _surface(seed: int, thing: Thing, number: NDArray[np.int8], coloured: NDArray[np.bool_], own: Vector) -> Image:
    """What a thing is painted with, before any light: its parts' colours, stripes, and a little unevenness."""
    paints = floats([COLOURS[thing.colour] if part.colour is None else part.colour for part in PARTS[thing.shape]])
    colour, (x, y, z) = paints[number], own
    if thing.material == "striped":
        turns = y * np.float32(3.5) + np.float32(0.2)
        colour[coloured & (turns - np.floor(turns) > 0.58)] = DARK_BAND if thing.colour in PALE else PALE_BAND
    place = stream(seed, f"surface at {thing.across} {thing.away}").random(2)  # the same when others come or go
    return floats(colour * (1 + 0.05 * noise(x + z, y, 0.22, (float(place[0]), float(place[1]))))[:, None])


def _polished(
    seed: int, colour: Image, normal: Image, towards: Image, ray: Vector, coloured: NDArray[np.bool_]
) -> Image:
    """A polished surface shows the sun as a spot, and the sky or the ground faintly, more so at the rim."""
    view = floats(ray)
    view /= np.sqrt((view * view).sum(axis=0))
    against = (view * normal).sum(axis=0)
    bounced = view - 2 * against * normal
    rim = (1 + np.clip(against, -1, 0)) ** np.float32(3)
    shown = textures.horizon_colour(seed) * (0.35 + 0.65 * ramp(bounced[1], -0.2, 0.2))[:, None]
    share = coloured * (0.1 + 0.4 * rim)
    spot = coloured * np.clip(towards @ bounced, 0, 1) ** np.float32(36)
    return floats(colour + (shown - colour) * share[:, None] + 0.85 * spot[:, None])
