"""Judges that read off a picture what it shows. They are classical: measurements compared with those of true renders.

Colour: the commonest named hue of the object found (colours.py). Shape: its silhouette, brought to one place and size,
against silhouettes found the same way in renders of every shape, by intersection over union. Ground: colour and texture
of the lower part, and weather and time: lightness, colour and contrast by height, and fine detail; each by Fisher's
discriminant between renders. The renders that judges learn from share no seed with those that they are tried on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.bench import discriminant, finding, subjects
from latensify_server.bench.colours import colour_of, lab
from latensify_server.bench.discriminant import Discriminant
from latensify_server.bench.finding import Finder
from latensify_server.bench.measures import Picture, Region, squared_error
from latensify_server.training import render, worlds
from latensify_server.training.worlds import World

THINGS = 168
"""Renders from which things and grounds are learned: as many of every shape and of every colour."""

LIGHTS = 16
"""Renders of each weather and each time."""

SOFT_PX = 1.2
"""Silhouettes are learned from blurred renders too: a small model's pictures are softer than the truth."""

GROUND_FROM = 0.6
SCENE_BANDS = 5
GONE = 0.25
"""A thing is gone when the picture is nearer than this to the truth without it, over its distance to the source."""

NOTHING = "nothing"


@dataclass(frozen=True)
class Verdict:
    """What a picture shows. Where no object was found, `thing` is None and colour and shape are NOTHING."""

    colour: str
    shape: str
    background: str
    weather: str
    time: str
    thing: Region | None


@dataclass(frozen=True)
class Judges:
    """What the judges have learned: silhouettes [n, SILHOUETTE_PX squared] with their shapes, and discriminants."""

    finder: Finder
    silhouettes: Region
    shapes: tuple[str, ...]
    ground: Discriminant
    weather: Discriminant
    time: Discriminant


@lru_cache
def learned() -> Judges:
    """The judges, from true renders of worlds kept for this alone. Takes some seconds, once."""
    drawn = [(world, render.draw(world, subjects.SIDE_PX, subjects.SIDE_PX)) for world in _reference_worlds()]
    seen = [(picture.image, picture.masks[0] > 0.5, world.things[0]) for world, picture in drawn]
    finder = finding.learned([(image, region, thing.colour) for image, region, thing in seen])
    outlines = [
        (finding.silhouette(region).ravel(), thing.shape)
        for image, _, thing in seen
        for picture in (image, cv2.GaussianBlur(image, (0, 0), SOFT_PX))
        if (region := _thing_in(finder, picture, thing.colour)) is not None
    ]
    grounds = _grouped(
        (world.ground, _ground_features(picture.image, picture.masks[0] > 0)) for world, picture in drawn
    )
    plain = [_scene_features(image) for image, _, _ in seen[: 3 * LIGHTS]]
    weathers = {name: _under("weather", name) for name in worlds.WEATHERS if name != "clear"}
    times = {name: _under("time", name) for name in worlds.TIMES if name != "day"}
    return Judges(
        finder=finder,
        silhouettes=np.array([outline for outline, _ in outlines]),
        shapes=tuple(shape for _, shape in outlines),
        ground=discriminant.learned(grounds),
        weather=discriminant.learned({"clear": plain, **weathers}),
        time=discriminant.learned({"day": plain, **times}),
    )


def _reference_worlds() -> Iterator[World]:
    for number in range(THINGS):
        world = subjects.plain(subjects.REFERENCE + number)
        shape = worlds.SHAPES[number % len(worlds.SHAPES)]
        colour = tuple(worlds.COLOURS)[number % len(worlds.COLOURS)]
        yield worlds.recoloured(worlds.reshaped(world, 0, shape), 0, colour)


def _under(attribute: str, value: str) -> list[NDArray[np.float64]]:
    """Measurements of worlds in one weather or at one time."""
    plain = (subjects.plain(subjects.REFERENCE + THINGS + number) for number in range(LIGHTS))
    return [_scene_features(subjects.shown(subjects.under(world, attribute, value))) for world in plain]


def _grouped(measured: Iterator[tuple[str, NDArray[np.float64]]]) -> dict[str, list[NDArray[np.float64]]]:
    groups: dict[str, list[NDArray[np.float64]]] = {}
    for name, features in measured:
        groups.setdefault(name, []).append(features)
    return groups


def verdict(picture: Picture) -> Verdict:
    """What a picture [h, w, 3] of a world of one thing shows, about 128 pixels high."""
    judges = learned()
    thing = _thing_in(judges.finder, picture)
    nowhere = np.zeros(picture.shape[:2], bool)
    scene = _scene_features(picture)
    return Verdict(
        colour=NOTHING if thing is None else colour_of(picture, thing),
        shape=NOTHING if thing is None else _shape_of(judges, thing),
        background=judges.ground.nearest(_ground_features(picture, nowhere if thing is None else thing)),
        weather=judges.weather.nearest(scene),
        time=judges.time.nearest(scene),
        thing=thing,
    )


def shape_inside(picture: Picture, colour: str, within: Region) -> str:
    """The shape of the thing of that colour inside a region; NOTHING where there is none."""
    judges = learned()
    thing = _thing_in(judges.finder, picture, colour, within)
    return NOTHING if thing is None else _shape_of(judges, thing)


def is_gone(picture: Picture, source: Picture, truth: Picture, thing: Region) -> bool:
    """Whether a thing seen in the source is gone: what is in its place is much nearer to the truth than to it."""
    return squared_error(picture, truth, thing) < GONE * squared_error(picture, source, thing)


def _thing_in(
    finder: Finder, picture: Picture, colour: str | None = None, within: Region | None = None
) -> Region | None:
    part = finding.coloured_part(finder, picture, colour, within)
    return None if part is None else finding.whole_of(picture, part, within)


def _shape_of(judges: Judges, thing: Region) -> str:
    """The shape of the most similar silhouette."""
    own = finding.silhouette(thing).ravel()
    shared, either = (judges.silhouettes & own).sum(axis=1), (judges.silhouettes | own).sum(axis=1)
    return judges.shapes[int((shared / np.maximum(either, 1)).argmax())]


def _ground_features(picture: Picture, thing: Region) -> NDArray[np.float64]:
    """Mean and spread of colour of the lower part of a picture beside its thing; its texture at three octaves."""
    height = picture.shape[0]
    clear = ~subjects.grown(thing, 3)
    clear[: int(GROUND_FROM * height)] = False
    if clear.sum() < 0.02 * clear.size:
        clear[int(GROUND_FROM * height) :] = True
    values = lab(picture)
    level, found = values[..., 0], []
    for octave in range(3):
        soft = cv2.GaussianBlur(level, (0, 0), 2.0**octave)
        for across, down in ((1, 0), (0, 1)):
            strength = np.abs(cv2.Sobel(soft, cv2.CV_32F, across, down))[clear]
            found.append(np.log(strength.mean() + 0.1))
    return np.concatenate([values[clear].mean(axis=0), np.log(values[clear].std(axis=0) + 0.5), found]).astype(
        np.float64
    )


def _scene_features(picture: Picture) -> NDArray[np.float64]:
    """Lightness, colour and contrast by height, and the strength of the finest detail above and below."""
    values = lab(picture)
    bands = np.array_split(values, SCENE_BANDS, axis=0)
    rough = [number for band in bands for number in (*band.mean(axis=(0, 1)), np.log(band[..., 0].std() + 0.5))]
    detail = np.abs(values[..., 0] - cv2.GaussianBlur(values[..., 0], (0, 0), 1.5))
    fine = [
        np.log(number + 0.1) for half in np.array_split(detail, 2) for number in (half.mean(), np.quantile(half, 0.98))
    ]
    return np.array([*rough, *fine], np.float64)
