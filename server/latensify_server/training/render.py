"""Worlds drawn: pictures with exact regions, depth, masks and motion, so that exact counterfactuals can be learnt from.

A world is traced and painted in plain daylight; season, weather and time of day are then `looks`, as for photographs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.training import looks
from latensify_server.training.camera import camera, origin_of, project, rays
from latensify_server.training.looks import Image, Regions, floats
from latensify_server.training.shade import Sight, paint
from latensify_server.training.skyline import Skyline, skyline
from latensify_server.training.trace import GROUND, SKY, SKY_M, Hits, trace
from latensify_server.training.worlds import World, stream

NEAR_M = 22.0
SEASON_LOOKS: dict[str, looks.Look] = {"winter": looks.winter, "autumn": looks.autumn}
WEATHER_LOOKS: dict[str, Callable[[Image, Regions, np.random.Generator, int], Image]] = {
    "rain": looks.rain,
    "fog": lambda image, regions, rng, frame: looks.fog(image, regions, rng),
    "snow": looks.snowfall,
}
TIME_LOOKS: dict[str, looks.Look] = {"sunset": looks.sunset, "night": looks.night}


@dataclass(frozen=True)
class Picture:
    """A drawn world.

    Image [h, w, 3] in sRGB 0..1; its regions; depth [h, w] in metres along the camera's axis (the sky: SKY_M); and what
    is visible of each thing, [h, w] in 0..1, in their order.
    """

    image: Image
    regions: Regions
    depth: Image
    masks: tuple[Image, ...]


def draw(world: World, width: int, height: int, frame: int = 0) -> Picture:
    """A frame of a world, sampled four times a pixel."""
    plain = daylight(world, width, height, frame)
    return Picture(weathered(world, plain, frame), plain.regions, plain.depth, plain.masks)


def daylight(world: World, width: int, height: int, frame: int = 0) -> Picture:
    """A frame of a world as on a clear summer's day, before its season, weather and time of day."""
    w, h = 2 * width, 2 * height
    view, line = camera(world, frame), skyline(world.skyline, world.seed)
    y, x = np.mgrid[0.25:height:0.5, 0.25:width:0.5].astype(np.float32).reshape(2, -1)
    ray = rays(view, x, y, width, height)
    hits = trace(world, frame, line, origin_of(view), ray)
    unit = 1 / (view.focal * float(np.sqrt(width * height)))
    painted = paint(Sight(world, frame, line, unit), hits, ray)

    def small(values: Image) -> Image:
        return floats(
            cv2.resize(floats(values).reshape(h, w, *values.shape[1:]), (width, height), interpolation=cv2.INTER_AREA)
        )

    sky = small(hits.what == SKY)
    ground = small(hits.what == GROUND) * (0.6 if world.ground == "water" else 1.0)
    depth = _depth(hits.depth.reshape(h, w))
    regions = Regions(
        sky,
        floats(ground),
        small(painted.foliage),
        small(1 - np.exp(-hits.depth / np.float32(NEAR_M))),
        small(painted.lamps),
    )
    masks = tuple(small(hits.what == index) for index in range(len(world.things)))
    return Picture(np.clip(small(painted.colour), 0, 1), regions, depth, masks)


def _depth(fine: Image) -> Image:
    """Depth of pixels from four samples each: that of the plane through them, or of the nearest where an edge runs."""
    a, b, c, d = fine[::2, ::2], fine[::2, 1::2], fine[1::2, ::2], fine[1::2, 1::2]
    nearest = np.minimum(np.minimum(a, b), np.minimum(c, d))
    farthest = np.maximum(np.maximum(a, b), np.maximum(c, d))
    plane = 4 / (1 / a + 1 / b + 1 / c + 1 / d)
    return floats(np.where(nearest >= SKY_M, SKY_M, np.where(farthest < 1.2 * nearest, plane, nearest)))


def weathered(world: World, plain: Picture, frame: int) -> Image:
    """A daylight picture under its world's season, then weather, then time of day."""
    image, regions = plain.image, plain.regions

    def rng(attribute: str) -> np.random.Generator:
        return stream(world.seed, f"look of the {attribute}")

    if season := SEASON_LOOKS.get(world.season):
        image = season(image, regions, rng("season"))
    if weather := WEATHER_LOOKS.get(world.weather):
        image = weather(np.clip(image, 0, 1), regions, rng("weather"), frame)
    if time := TIME_LOOKS.get(world.time):
        image = time(np.clip(image, 0, 1), regions, rng("time"))
    return floats(np.clip(image, 0, 1))


def flow(world: World, width: int, height: int, frame: int, other: int) -> tuple[Image, NDArray[np.bool_]]:
    """How each pixel's surface moves from a frame to another.

    Returns the motion [h, w, 2] in pixels (right, down) of what is at each pixel's centre, and whether it is visible in
    the other frame [h, w]: inside the picture, and nothing before it. Water moves as the plane that it lies in does.
    """
    line = skyline(world.skyline, world.seed)
    y, x = np.mgrid[0.5:height, 0.5:width].astype(np.float32).reshape(2, -1)
    hits = _seen(world, line, frame, x, y, width, height)
    sky = hits.what == SKY
    points = np.where(sky, hits.points - camera(world, frame).position[:, None], hits.points)
    for index, thing in enumerate(world.things):
        points[0, hits.what == index] += np.float32(thing.drift * (other - frame))
    to_x, to_y, depth = project(camera(world, other), floats(points), width, height, far=sky)
    inside = (depth > 0) & (to_x >= 0) & (to_x <= width) & (to_y >= 0) & (to_y <= height)
    then = _seen(world, line, other, to_x, to_y, width, height)
    same = (then.what == hits.what) & (sky | (np.abs(then.depth - depth) < 0.01 * depth + 0.01))
    motion = np.stack([to_x - x, to_y - y], axis=-1).reshape(height, width, 2)
    return floats(motion), (inside & same).reshape(height, width)


def _seen(world: World, line: Skyline | None, frame: int, x: Image, y: Image, width: int, height: int) -> Hits:
    """What the points x, y of a frame's picture show."""
    view = camera(world, frame)
    return trace(world, frame, line, origin_of(view), rays(view, x, y, width, height))
