"""Colours of what rays meet: daylight from a sun behind the camera, shadows on the ground, reflections in water."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

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


@dataclass(frozen=True)
class Painted:
    """Colour [n, 3] in sRGB, lamps [n] and foliage [n] in 0..1 of n rays."""

    colour: Image
    lamps: Image
    foliage: Image


def sun(seed: int) -> tuple[float, float, float]:
    """The direction to the sun, of length 1: high, and somewhere behind the camera."""
    rng = stream(seed, "sun")
    turn, rise = float(rng.uniform(0.35, 1.15) * rng.choice([-1, 1])), float(rng.uniform(0.55, 0.95))
    return float(np.sin(turn) * np.cos(rise)), float(np.sin(rise)), float(-np.cos(turn) * np.cos(rise))


def paint(
    world: World, frame: int, line: Skyline | None, hits: Hits, ray: Vector, unit: float, mirrored: bool = False
) -> Painted:
    """The colours of hits; `unit` is how many metres a pixel spans one metre ahead. Mirrored: as water shows them."""
    n = hits.depth.size
    colour, lamps, foliage = np.zeros((n, 3), np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
    if (at := np.flatnonzero(hits.what == SKY)).size:
        colour[at] = textures.sky(world.seed, world.clouds, ray[0][at], ray[1][at], ray[2][at])
    if line and (at := np.flatnonzero(hits.what == SKYLINE)).size:
        colour[at], lamps[at] = skylines.colour(line, hits.points[:, at], hits.depth[at] * np.float32(unit))
        foliage[at] = greenness(colour[at])
    if not mirrored and (at := np.flatnonzero(hits.what == GROUND)).size:
        colour[at], lamps[at], foliage[at] = _ground(world, frame, line, hits, ray, at, unit)
    distant = np.flatnonzero((hits.what == GROUND) | (hits.what == SKYLINE))
    haze = 1 - np.exp(hits.depth[distant] * np.float32(-1 / HAZE_M))
    colour[distant] += (textures.horizon_colour(world.seed) - colour[distant]) * haze[:, None]
    for index, thing in enumerate(world.things):
        if (at := np.flatnonzero(hits.what == index)).size:
            colour[at], lamps[at] = _thing(world, thing, index, frame, hits, ray, at)
    return Painted(colour, lamps, foliage)


def greenness(colour: Image) -> Image:
    """How much a colour [n, 3] is that of leaves, [n]."""
    return ramp(colour[:, 1] - np.maximum(colour[:, 0] * 0.96, colour[:, 2]), 0.01, 0.07)


def _ground(
    world: World,
    frame: int,
    line: Skyline | None,
    hits: Hits,
    ray: Vector,
    at: np.ndarray[tuple[int], np.dtype[np.intp]],
    unit: float,
) -> tuple[Image, Image, Image]:
    """Colour, lamps (mirrored in water) and foliage of the ground."""
    x, _, z = hits.points[:, at]
    own_ray = ray[0][at], ray[1][at], ray[2][at]
    steep = np.clip(-own_ray[1] / np.sqrt(own_ray[0] ** 2 + own_ray[1] ** 2 + own_ray[2] ** 2), 1e-4, 1)
    footprint = hits.depth[at] * np.float32(unit) * steep ** np.float32(-0.8)
    colour = textures.ground(world.ground, world.seed, x, z, footprint, frame)
    foliage = greenness(colour) if world.ground != "water" else np.zeros_like(x)
    light = np.ones_like(x)
    for thing in world.things:
        light *= 1 - _shadow(world.seed, thing, frame, x, z)
    lamps = np.zeros_like(x)
    if world.ground == "water":
        light = 0.6 + 0.4 * light
        mirror, share = _mirror(world, frame, line, x, z, own_ray, steep, footprint, unit)
        return (
            floats(colour * light[:, None] * (1 - share[:, None]) + mirror.colour * share[:, None]),
            mirror.lamps * share,
            foliage,
        )
    return floats(colour * light[:, None]), lamps, foliage


def _mirror(
    world: World,
    frame: int,
    line: Skyline | None,
    x: Image,
    z: Image,
    ray: Vector,
    steep: Image,
    footprint: Image,
    unit: float,
) -> tuple[Painted, Image]:
    """What water shows of what stands above it, and how much of it."""
    drift = np.float32(0.015 * frame)
    ripple = 0.05 * noise(x + drift, z * np.float32(2.0) - drift, 0.9) * textures.shown(footprint, 1.2)
    up = (ray[0] + ripple * steep * 2, -ray[1] * (1 + ripple * 3), ray[2])
    origin = (x, np.full_like(x, 1e-3), z)
    seen = trace(world, frame, line, origin, up)
    share = 0.28 + 0.5 * (1 - steep) ** np.float32(3)
    return paint(world, frame, line, seen, up, unit, mirrored=True), floats(share)


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


def _thing(
    world: World,
    thing: Thing,
    index: int,
    frame: int,
    hits: Hits,
    ray: Vector,
    at: np.ndarray[tuple[int], np.dtype[np.intp]],
) -> tuple[Image, Image]:
    """Colour and lamps of a thing's surface."""
    parts = PARTS[thing.shape]
    own = floats([COLOURS[thing.colour] if part.colour is None else part.colour for part in parts])
    number = hits.part[at]
    normal = hits.normal[:, at]
    normal /= np.maximum(np.sqrt((normal * normal).sum(axis=0)), 1e-6)
    x, y, z = into_thing(thing, frame, tuple(hits.points[:, at]))  # type: ignore[arg-type]
    main = np.array([part.colour is None for part in parts])[number]
    colour = own[number]
    if thing.material == "striped":
        turns = y * np.float32(3.5) + np.float32(0.2)
        banded = main & (turns - np.floor(turns) > 0.58)
        colour[banded] = (0.2, 0.2, 0.22) if thing.colour in ("white", "yellow") else (0.93, 0.92, 0.9)
    place = stream(world.seed, f"surface {index}").random(2)
    colour = colour * (1 + 0.05 * noise(x + z, y, 0.22, (float(place[0]), float(place[1]))))[:, None]
    towards = floats(sun(world.seed))
    facing = np.maximum(towards @ normal, 0)
    light = 0.52 + 0.16 * normal[1] + 0.5 * facing
    light *= 0.72 + 0.28 * ramp(y, 0.0, 0.22)
    colour = colour * light[:, None]
    if thing.material == "shiny":
        colour = _polished(world, colour, normal, towards, tuple(part[at] for part in ray), main)  # type: ignore[arg-type]
    if world.weather == "snow":
        white = 0.92 * ramp(normal[1] + 0.12 * noise(x + 0.3, z, 0.3), 0.55, 0.75)
        colour += (floats([0.93, 0.95, 0.98]) * (0.8 + 0.2 * facing[:, None]) - colour) * white[:, None]
    lamps = floats([part.lamp for part in parts])[number]
    return floats(colour), lamps


def _polished(world: World, colour: Image, normal: Image, towards: Image, ray: Vector, main: Image) -> Image:
    """A polished surface shows the sun as a spot, and the sky or the ground faintly, more so at the rim."""
    view = floats(ray)
    view /= np.sqrt((view * view).sum(axis=0))
    against = (view * normal).sum(axis=0)
    bounced = view - 2 * against * normal
    rim = (1 + np.clip(against, -1, 0)) ** np.float32(3)
    sky = textures.horizon_colour(world.seed)
    shown = sky * (0.35 + 0.65 * ramp(bounced[1], -0.2, 0.2))[:, None]
    share = main * (0.1 + 0.4 * rim)
    spot = main * np.clip(towards @ bounced, 0, 1) ** np.float32(36)
    return floats(colour + (shown - colour) * share[:, None] + 0.85 * spot[:, None])
