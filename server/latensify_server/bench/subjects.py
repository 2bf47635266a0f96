"""What the model is asked about: worlds that training never drew, with exact counterfactuals for answers.

Training draws worlds of seeds below HELD_OUT; those here start there, and the ones from which the judges
learn what things look like at REFERENCE. Worlds are shown in plain light unless a row is about light or weather.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from latensify_server.bench.measures import Picture, Region
from latensify_server.training import render, worlds
from latensify_server.training.photos import HELD_OUT as PHOTOS
from latensify_server.training.photos import photo
from latensify_server.training.worlds import World

HELD_OUT = 10**9
REFERENCE = 2 * 10**9
SIDE_PX = 128
PHOTO_PX = 256

CHANGED = 0.02
"""A pixel that differs by more than this between source and answer is one that the edit is about."""

ROOM_PX = 4
"""A mask reaches so far beyond what changes: nobody draws one to the pixel."""


DROWNED = {"white": ("pavement", "water"), "blue": ("water",), "black": ("water",)}
"""Grounds on which a thing of a colour does not stand out."""


@dataclass(frozen=True)
class Case:
    """An edit and its exact answer.

    `mask` [h, w] is 1 where the picture may change, `outside` is where it must not (clear of the change by a latent),
    `thing` is what shows of the object after the edit, or of the one removed.
    """

    before: World
    after: World
    index: int
    prompt: str
    source: Picture
    truth: Picture
    mask: Picture
    outside: Region
    thing: Region


def plain(seed: int, things: int | None = 1) -> World:
    """A world in daylight, clear weather and summer, seen from where the camera begins."""
    world = worlds.random_world(seed, things=things)
    return replace(world, weather="clear", time="day", season="summer", move="still")


def legible(seed: int) -> World:
    """A plain world of one thing that stands out: not striped; white not before clouds, snow or facades nor on pavement
    or water; black matte, and neither it nor blue on water. Where a person must look twice, no judge can tell who is
    wrong."""
    world = plain(seed)
    colour = world.things[0].colour
    polished = colour != "black" and worlds.stream(seed, "bench material").random() < 0.3
    world = worlds.with_material(world, 0, "shiny" if polished else "matte")
    if colour == "white":
        skyline = "forest" if world.skyline in ("mountains", "city") else world.skyline
        world = replace(world, clouds=False, skyline=skyline)
    return replace(world, ground="grass") if world.ground in DROWNED.get(colour, ()) else world


def shown(world: World, width: int = SIDE_PX, height: int = SIDE_PX, frame: int = 0) -> Picture:
    """The picture of a world."""
    return render.draw(world, width, height, frame).image


def photographs() -> list[Picture]:
    """The centres of the photographs kept from training, at their own resolution."""
    found = []
    for name in PHOTOS:
        picture = photo(name)
        top, left = (picture.shape[0] - PHOTO_PX) // 2, (picture.shape[1] - PHOTO_PX) // 2
        found.append(picture[top : top + PHOTO_PX, left : left + PHOTO_PX])
    return found


def other(seed: int, attribute: str, values: tuple[str, ...], than: str) -> str:
    """Another value of an attribute, from a stream of its own."""
    return str(worlds.stream(seed, f"bench {attribute}").choice([value for value in values if value != than]))


def case(before: World, after: World, index: int, prompt: str, width: int = SIDE_PX, height: int = SIDE_PX) -> Case:
    """The case of one world turned into another, about the thing of that index."""
    source, truth = render.draw(before, width, height), render.draw(after, width, height)
    gone = len(after.things) < len(before.things)
    thing = (source if gone else truth).masks[index] > 0.5
    own = (source.masks[index] > 0) | thing | (np.abs(source.image - truth.image).max(axis=2) > CHANGED)
    return Case(
        before=before,
        after=after,
        index=index,
        prompt=prompt,
        source=source.image,
        truth=truth.image,
        mask=grown(own, ROOM_PX).astype(np.float32),
        outside=~grown(own, ROOM_PX + 8),
        thing=thing,
    )


def grown(region: Region, px: int) -> Region:
    """The region and what lies within so many pixels of it."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * px + 1, 2 * px + 1))
    return np.asarray(cv2.dilate(region.astype(np.uint8), kernel) > 0)


def recolour(seed: int, instruction: bool = False) -> Case:
    """One thing in another colour: by what is to be there ("a blue ball"), or by an instruction."""
    before = legible(seed)
    thing = before.things[0]
    colour = other(seed, "colour", tuple(worlds.COLOURS), thing.colour)
    after = worlds.recoloured(before, 0, colour)
    return case(before, after, 0, f"turn the {thing.shape} {colour}" if instruction else worlds.name(after.things[0]))


def reshape(seed: int, instruction: bool = False) -> Case:
    """One thing replaced by another: "a red box", or "turn the ball into a box"; the colour stays."""
    before = legible(seed)
    thing = before.things[0]
    shape = other(seed, "shape", worlds.SHAPES, thing.shape)
    after = worlds.reshaped(before, 0, shape)
    prompt = f"turn the {thing.shape} into a {shape}" if instruction else worlds.name(after.things[0])
    return case(before, after, 0, prompt)


def removal(seed: int, instruction: bool = False) -> Case:
    """One thing taken out."""
    before = legible(seed)
    prompt = f"remove the {before.things[0].shape}" if instruction else ""
    return case(before, worlds.removed(before, 0), 0, prompt)


def seeds(count: int, row: int) -> Iterator[int]:
    """Held-out seeds of a row: no two rows share one."""
    first = HELD_OUT + 100_000 * row
    return iter(range(first, first + count))


Maker = Callable[[int, bool], Case]
MAKERS: dict[str, Maker] = {"recolour": recolour, "replace": reshape, "remove": removal}

WHOLE: dict[str, tuple[str, str, str, str]] = {
    "day_to_night": ("time", "day", "night", "make it night"),
    "night_to_day": ("time", "night", "day", "make it day"),
    "clear_to_snow": ("weather", "clear", "snow", "make it snow"),
    "snow_to_clear": ("weather", "snow", "clear", "clear weather"),
}
"""Edits of the whole frame: an attribute of the world, what it is before and after, and how that is asked for."""


def under(world: World, attribute: str, value: str) -> World:
    """The world with another weather, time or season."""
    return replace(world, **{attribute: value})  # type: ignore[arg-type]


def whole(seed: int, change: str) -> tuple[Picture, Picture, str]:
    """Source, answer and instruction of a change of the whole frame, on a world of any number of things."""
    attribute, was, becomes, prompt = WHOLE[change]
    world = plain(seed, things=None)
    return shown(under(world, attribute, was)), shown(under(world, attribute, becomes)), prompt
