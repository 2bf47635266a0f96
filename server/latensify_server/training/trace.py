"""Rays through a world: what each meets first, and where. Nothing is coloured here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latensify_server.training.looks import Image, floats
from latensify_server.training.skyline import Skyline, step_of
from latensify_server.training.solids import PARTS, Ball, Faces, Round, Vector, meet
from latensify_server.training.worlds import Thing, World

SKY_M = 1e4
SKY, SKYLINE, GROUND = -3, -2, -1


@dataclass(frozen=True)
class Hits:
    """What n rays meet: depth in lengths of the ray (SKY_M: the sky), what (SKY, SKYLINE, GROUND or a thing) and
    the point [3, n] in world metres; of things also the part's index and the normal [3, n] in the world."""

    depth: Image
    what: NDArray[np.int8]
    part: NDArray[np.int8]
    points: Image
    normal: Image


def trace(world: World, frame: int, line: Skyline | None, origin: Vector, ray: Vector) -> Hits:
    """What rays (flat arrays; the origin's may be of one number) meet first in a world at a frame."""
    n = ray[0].size
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(ray[1] < 0, -origin[1] / ray[1], np.float32(SKY_M)).astype(np.float32)
    what = np.where((depth < SKY_M * 0.5) & (depth > 1e-3), GROUND, SKY).astype(np.int8)
    depth[what == SKY] = SKY_M
    part, normal = np.zeros(n, np.int8), np.zeros((3, n), np.float32)
    if line:
        _meet_skyline(line, origin, ray, depth, what)
    for index, thing in enumerate(world.things):
        _meet_thing(thing, index, frame, origin, ray, Hits(depth, what, part, normal, normal))
    points = floats([o + depth * d for o, d in zip(origin, ray, strict=True)])
    return Hits(depth, what, part, points, normal)


def _meet_skyline(line: Skyline, origin: Vector, ray: Vector, depth: Image, what: NDArray[np.int8]) -> None:
    """The far wall of the circle, where it is as high as the ray is there."""
    (ox, oy, oz), (dx, dy, dz) = origin, ray
    a, b = dx * dx + dz * dz, ox * dx + oz * dz
    c = ox * ox + oz * oz - np.float32(line.radius**2)
    at = floats((-b + np.sqrt(np.maximum(b * b - a * c, 0))) / a)
    rise = oy + at * dy
    likely = np.flatnonzero((at < depth) & (rise < line.heights.max()))
    near, x, z = at[likely], pick(ox, likely) + at[likely] * dx[likely], pick(oz, likely) + at[likely] * dz[likely]
    met = rise[likely] < line.heights[step_of(line, x, z)]
    depth[likely[met]], what[likely[met]] = near[met], SKYLINE


def pick(values: Image, at: NDArray[np.intp]) -> Image:
    """Entries of an array that may hold one number for all."""
    return values if values.size == 1 else values[at]


def foot(thing: Thing, frame: int) -> tuple[float, float]:
    """Where a thing stands at a frame: x and z in metres."""
    return thing.across + thing.drift * frame, thing.away


def into_thing(thing: Thing, frame: int, points: Vector, place: bool = True) -> Vector:
    """World points (or directions, where not `place`) in the thing's own space, in which it is one high."""
    x, z = foot(thing, frame) if place else (0.0, 0.0)
    cos, sin = np.float32(np.cos(thing.turn) / thing.size), np.float32(np.sin(thing.turn) / thing.size)
    px, pz = points[0] - np.float32(x), points[2] - np.float32(z)
    return px * cos - pz * sin, points[1] * np.float32(1 / thing.size), px * sin + pz * cos


def out_of_thing(thing: Thing, normal: Vector) -> Image:
    """Directions of the thing's own space in the world, [3, n]."""
    cos, sin = np.float32(np.cos(thing.turn)), np.float32(np.sin(thing.turn))
    return floats([normal[0] * cos + normal[2] * sin, normal[1], normal[2] * cos - normal[0] * sin])


def _near(bounds: Image, origin: Vector, ray: Vector) -> NDArray[np.intp]:
    """The rays that pass the sphere about bounds."""
    centre, radius = bounds.mean(axis=0), np.linalg.norm(bounds[1] - bounds[0]) / 2
    ox, oy, oz = (np.float32(c) - o for c, o in zip(centre, origin, strict=True))
    dx, dy, dz = ray
    along = ox * dx + oy * dy + oz * dz
    apart = ox * ox + oy * oy + oz * oz - np.float32(radius * radius)
    return np.flatnonzero((along * along > apart * (dx * dx + dy * dy + dz * dz)) | (apart < 0))


def bounds_of(shape: str) -> Image:
    """Two corners about all parts of a shape."""
    corners = floats([part.solid.bounds for part in PARTS[shape]])
    return floats([corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)])


def _meet_thing(thing: Thing, index: int, frame: int, origin: Vector, ray: Vector, so_far: Hits) -> None:
    """Enters what a thing hides into the arrays of `so_far`."""
    own_origin, own_ray = into_thing(thing, frame, origin), into_thing(thing, frame, ray, place=False)
    if (near := _near(bounds_of(thing.shape), own_origin, own_ray)).size == 0:
        return
    own_origin = tuple(pick(o, near) for o in own_origin)  # type: ignore[assignment]
    own_ray = tuple(d[near] for d in own_ray)  # type: ignore[assignment]
    for number, part in enumerate(PARTS[thing.shape]):
        entered, at, normal = _enter(part.solid, own_origin, own_ray)
        closer = at < so_far.depth[near[entered]]
        where = near[entered[closer]]
        so_far.depth[where], so_far.what[where], so_far.part[where] = at[closer], index, number
        so_far.normal[:, where] = out_of_thing(thing, tuple(part[closer] for part in normal))  # type: ignore[arg-type]


def _enter(solid: Ball | Round | Faces, origin: Vector, ray: Vector) -> tuple[NDArray[np.intp], Image, Vector]:
    """Which rays enter a solid from outside, how far along, and the (unscaled) normals there."""
    near = _near(solid.bounds, origin, ray)
    enter, leave, normal = meet(solid, tuple(pick(o, near) for o in origin), tuple(d[near] for d in ray))  # type: ignore[arg-type]
    met = (enter < leave) & (enter > 1e-4)
    return near[met], enter[met], tuple(part[met] for part in normal)  # type: ignore[return-value]


def shaded(thing: Thing, x: Image, z: Image, sun: tuple[float, float, float]) -> Image:
    """1 where the ground at x, z (metres from the thing's foot, flat) lies in a thing's shadow, else 0."""
    ray = tuple(np.full(x.shape, part, np.float32) for part in sun)
    still = np.zeros_like(x)
    own_origin = into_thing(thing, 0, (x + thing.across, still + np.float32(1e-4), z + thing.away))
    own_ray = into_thing(thing, 0, ray, place=False)  # type: ignore[arg-type]
    dark = np.zeros(x.shape, bool)
    for part in PARTS[thing.shape]:
        enter, leave, _ = meet(part.solid, own_origin, own_ray)
        dark |= (enter < leave) & (leave > 0)
    return floats(dark)
