"""Worlds drawn: pictures with exact regions, depth, masks and motion, so that exact counterfactuals can be learnt from.

A world is traced and painted in plain daylight; season, weather and time of day are then `looks`, as for photographs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from latensify_server.training import looks
from latensify_server.training.camera import camera, rays
from latensify_server.training.looks import Image, Regions, floats
from latensify_server.training.shade import paint
from latensify_server.training.skyline import skyline
from latensify_server.training.solids import Vector
from latensify_server.training.trace import GROUND, SKY, SKY_M, trace
from latensify_server.training.worlds import World, stream

NEAR_M = 22.0
SEASON_LOOKS = {"winter": looks.winter, "autumn": looks.autumn}
WEATHER_LOOKS = {"rain": looks.rain, "fog": looks.fog, "snow": looks.snowfall}
TIME_LOOKS = {"sunset": looks.sunset, "night": looks.night}


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
    origin: Vector = tuple(floats([part]) for part in view.position)  # type: ignore[assignment]
    hits = trace(world, frame, line, origin, ray)
    painted = paint(world, frame, line, hits, ray, 1 / (view.focal * float(np.sqrt(width * height))))

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
    h, w = fine.shape
    four = fine.reshape(h // 2, 2, w // 2, 2)
    nearest, farthest = four.min(axis=(1, 3)), four.max(axis=(1, 3))
    plane = 1 / (1 / four).mean(axis=(1, 3))
    return floats(np.where(nearest >= SKY_M, SKY_M, np.where(farthest < 1.2 * nearest, plane, nearest)))


def weathered(world: World, plain: Picture, frame: int) -> Image:
    """A daylight picture under its world's season, then weather, then time of day."""
    image = plain.image
    for attribute, known in (("season", SEASON_LOOKS), ("weather", WEATHER_LOOKS), ("time", TIME_LOOKS)):
        if look := known.get(getattr(world, attribute)):
            changed = look(image, plain.regions, stream(world.seed, f"{attribute} {frame}"))
            image = np.clip(changed, 0, 1).astype(np.float32)
    return image
