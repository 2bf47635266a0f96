"""What stands on the horizon: buildings, hills, trees or mountains on a circle about the origin, at true depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latensify_server.training.looks import Image, floats, ramp
from latensify_server.training.textures import blend, hashed, noise, octaves, shown, tinted
from latensify_server.training.worlds import stream

STEPS = 16384
GREEN = ("hills", "forest")
RADIUS_M = {"city": 60.0, "hills": 160.0, "forest": 40.0, "mountains": 700.0}
STOREY_M = 3.2
HILL, TREES, ROCK = (
    ((0.26, 0.38, 0.17), (0.5, 0.57, 0.3)),
    ((0.1, 0.22, 0.1), (0.27, 0.42, 0.19)),
    ((0.33, 0.35, 0.4), (0.58, 0.58, 0.6)),
)


@dataclass(frozen=True)
class Skyline:
    """Radius in metres; by angle ([STEPS] from -pi): heights in metres, the number of the building, where it begins."""

    kind: str
    seed: int
    radius: float
    heights: Image
    building: NDArray[np.int64]
    starts: Image


def skyline(kind: str, seed: int) -> Skyline | None:
    """The skyline of a world; None where the plain reaches to the horizon."""
    if kind == "plain":
        return None
    rng = stream(seed, f"skyline {kind}")
    radius = RADIUS_M[kind] * float(rng.uniform(0.85, 1.25))
    if kind == "city":
        return _city(seed, radius, rng)
    angle = np.linspace(-np.pi, np.pi, STEPS, endpoint=False, dtype=np.float32)
    circle = floats(np.cos(angle)) * np.float32(radius), floats(np.sin(angle)) * np.float32(radius)
    tall = float(rng.uniform(0.7, 1.2))
    waves = {
        "hills": ((110.0, 6.0), (35.0, 2.0), (9.0, 0.35)),
        "forest": ((18.0, 0.9), (3.4, 0.75), (1.3, 0.35)),
        "mountains": ((420.0, 55.0), (150.0, 26.0), (50.0, 9.0), (17.0, 3.0)),
    }[kind]
    base = {"hills": 13.0, "forest": 6.0, "mountains": 125.0}[kind]
    rise = sum(share * noise(*circle, wave, tuple(rng.random(2))) for wave, share in waves)
    heights = np.maximum(base * tall + floats(rise), base * 0.25)
    nothing = np.zeros(STEPS, np.int64)
    return Skyline(kind, seed, radius, floats(heights), nothing, floats(nothing))


def _city(seed: int, radius: float, rng: np.random.Generator) -> Skyline:
    """Buildings side by side, some with a gap of low ones between."""
    around = 2 * np.pi * radius
    wide = rng.uniform(5.0, 13.0, int(around / 5) + 1)
    edges = np.concatenate([[0.0], np.cumsum(wide)])
    count = int(np.searchsorted(edges, around))
    tall = rng.uniform(2, 7, len(wide)) * rng.choice([0.5, 1.0, 1.0], len(wide))
    at = np.arange(STEPS) * (around / STEPS)
    building = np.minimum(np.searchsorted(edges, at, side="right") - 1, count - 1)
    heights = (np.round(tall) + 1)[building] * STOREY_M
    return Skyline("city", seed, radius, floats(heights), building.astype(np.int64), floats(edges[building]))


def step_of(line: Skyline, x: Image, z: Image) -> NDArray[np.int64]:
    """The entry of the tables for the angle of points."""
    turn = np.arctan2(x, z) * np.float32(1 / (2 * np.pi)) + np.float32(0.5)
    return np.asarray(turn * STEPS, np.int64) % STEPS


def colour(line: Skyline, points: Image, footprint: Image) -> tuple[Image, Image]:
    """Colour [n, 3] and lamps [n] of points [3, n] of the skyline."""
    x, y, z = points
    rng = stream(line.seed, f"surface {line.kind}")
    step = step_of(line, x, z)
    along = (np.arctan2(x, z) + np.float32(np.pi)) * np.float32(line.radius)
    if line.kind == "city":
        return _facades(line, rng, along, y, step, footprint)
    if line.kind == "mountains":
        return _rock(line, rng, along, y, step, footprint), np.zeros_like(y)
    colours, waves = {
        "hills": (HILL, ((30.0, 0.6), (9.0, 0.45), (3.0, 0.35))),
        "forest": (TREES, ((6.0, 0.35), (2.4, 0.7), (0.9, 0.45))),
    }[line.kind]
    low, high = tinted(colours, rng, 0.12)
    grain = octaves(along, y, waves, footprint, rng, 2.0 if line.kind == "hills" else 0.8)
    lift = 0.25 * (y / line.heights[step] - 0.5)
    return blend(low, high, np.clip(0.45 + lift + 0.32 * grain, 0, 1.2)), np.zeros_like(y)


def _rock(
    line: Skyline, rng: np.random.Generator, along: Image, y: Image, step: NDArray[np.int64], footprint: Image
) -> Image:
    """Slopes lit from one side, with snow on what is high."""
    low, high = tinted(ROCK, rng, 0.08)
    waves = ((120.0, 0.6), (45.0, 0.6), (16.0, 0.4))
    relief = octaves(along + y * np.float32(0.7), y, waves, footprint, rng)
    rock = blend(low, high, np.clip(0.45 + 0.35 * relief, 0, 1))
    snow = ramp(y + 14 * relief, 100.0, 118.0) * np.float32(0.9)
    return blend(rock, (0.93, 0.95, 0.98), snow)


def _facades(
    line: Skyline, rng: np.random.Generator, along: Image, y: Image, step: NDArray[np.int64], footprint: Image
) -> tuple[Image, Image]:
    """Walls of many colours with rows of windows, some of which are lit at night."""
    number = line.building[step]
    count = int(line.building.max()) + 1
    walls = floats(rng.uniform(0.42, 0.78, (count, 1)) * rng.normal(1, 0.07, (count, 3)))
    brick = rng.random(count) < 0.3
    walls[brick] = floats(rng.uniform(0.8, 1.1, (int(brick.sum()), 1)) * floats([0.6, 0.38, 0.3]))
    pitch = floats(rng.uniform(2.2, 3.6, count))[number]
    column, storey = (along - line.starts[step]) / pitch, y / np.float32(STOREY_M)
    column_at, storey_at = np.floor(column), np.floor(storey)
    pane = _pane(column - column_at, footprint / pitch) * _pane(storey - storey_at, footprint / np.float32(STOREY_M))
    seen = shown(footprint, STOREY_M * 1.6)
    pane = pane * seen + np.float32(0.3) * (1 - seen)
    chance = hashed(column_at + 64 * number, storey_at, line.seed)
    glass = np.float32(0.22) + np.float32(0.2) * hashed(storey_at, column_at + 64 * number, line.seed + 1)
    wall = walls[number] * (0.97 + 0.05 * octaves(along, y, ((5.0, 1.0),), footprint, rng))[:, None]
    tone = glass[:, None] * floats([0.85, 1.0, 1.15])
    return floats(wall + (tone - wall) * pane[:, None]), floats(pane * (chance < 0.4))


def _pane(part: Image, footprint: Image) -> Image:
    """1 in the middle 56 % of a cell, with edges as soft as a pixel."""
    inside = np.float32(0.28) - np.abs(part - np.float32(0.5))
    return floats(np.clip(inside / np.maximum(footprint, 0.02) + 0.5, 0, 1))
