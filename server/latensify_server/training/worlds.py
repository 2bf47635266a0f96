"""Worlds: what a drawn picture shows, attribute by attribute, so that exact counterfactual pairs can be drawn.

Each choice draws from its own random stream, named after the attribute: two worlds that differ in one attribute differ
in what it paints and in nothing else. No pixels here: `render.draw` makes them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.11, 0.1),
    "blue": (0.1, 0.24, 0.85),
    "green": (0.07, 0.62, 0.2),
    "yellow": (0.97, 0.85, 0.1),
    "white": (0.95, 0.95, 0.94),
    "black": (0.07, 0.07, 0.08),
    "orange": (0.98, 0.5, 0.05),
    "purple": (0.52, 0.13, 0.68),
}
SHAPES = ("ball", "box", "cone", "cylinder", "tree", "house", "car")
MATERIALS = ("matte", "shiny", "striped")
GROUNDS = ("grass", "sand", "road", "water", "pavement")
SKYLINES = ("plain", "city", "hills", "forest", "mountains")
WEATHERS = ("clear", "rain", "snow", "fog")
TIMES = ("day", "sunset", "night")
SEASONS = ("summer", "autumn", "winter")
MOVES = ("still", "pan", "dolly", "orbit", "zoom", "handheld")

# Each shape's silhouette: its area over the square of its height, and its width over its height.
FILL = {"ball": 0.79, "box": 1.7, "cone": 0.54, "cylinder": 0.64, "tree": 0.43, "house": 1.25, "car": 1.85}
BREADTH = {"ball": 1.0, "box": 1.6, "cone": 0.94, "cylinder": 0.6, "tree": 0.84, "house": 1.4, "car": 2.3}
COVER = {1: (0.055, 0.19), 2: (0.05, 0.1), 3: (0.045, 0.065)}


@dataclass(frozen=True)
class Thing:
    """An object that stands on the ground.

    `across` is metres right of the view's centre, `away` metres from the camera, `size` metres high, `turn` radians
    about the vertical, `drift` metres per frame to the right.
    """

    shape: str
    colour: str
    material: str
    across: float
    away: float
    size: float
    turn: float
    drift: float


@dataclass(frozen=True)
class World:
    """Everything that a picture shows; `seed` feeds the streams of all that has no name."""

    seed: int
    ground: str
    skyline: str
    clouds: bool
    weather: str
    time: str
    season: str
    things: tuple[Thing, ...]
    move: str


@dataclass(frozen=True)
class Lens:
    """The camera before it moves: metres above the ground, focal length over the root of the picture's area, and the
    tangent of its pitch (downwards positive)."""

    height: float
    focal: float
    pitch: float


def stream(seed: int, attribute: str) -> np.random.Generator:
    """The random stream of one attribute of one world."""
    return np.random.default_rng([seed, zlib.crc32(attribute.encode())])


def lens(seed: int) -> Lens:
    """The camera of a world."""
    rng = stream(seed, "camera")
    focal = float(rng.uniform(1.0, 1.35))
    horizon = float(rng.uniform(0.3, 0.46))
    return Lens(height=float(rng.uniform(1.5, 2.3)), focal=focal, pitch=(0.5 - horizon) / focal)


def random_world(seed: int, things: int | None = None) -> World:
    """A world whose attributes are each drawn from their own stream; `things` are 0 to 3 where the number is not given.

    Each thing alone covers 4 to 25 % of the picture. No two share a shape or a colour, so that each can be named.
    """
    count = int(stream(seed, "count").choice([0, 1, 2, 3], p=[0.08, 0.5, 0.28, 0.14])) if things is None else things
    return World(
        seed=seed,
        ground=_pick(seed, "ground", GROUNDS),
        skyline=_pick(seed, "skyline", SKYLINES),
        clouds=bool(stream(seed, "clouds").random() < 0.5),
        weather=_pick(seed, "weather", WEATHERS, (0.52, 0.16, 0.16, 0.16)),
        time=_pick(seed, "time", TIMES, (0.54, 0.2, 0.26)),
        season=_pick(seed, "season", SEASONS, (0.6, 0.2, 0.2)),
        things=_things(seed, count),
        move=_pick(seed, "move", MOVES, (0.25, 0.15, 0.15, 0.15, 0.15, 0.15)),
    )


def _pick(seed: int, attribute: str, values: tuple[str, ...], shares: tuple[float, ...] | None = None) -> str:
    return str(stream(seed, attribute).choice(values, p=shares))


def _things(seed: int, count: int) -> tuple[Thing, ...]:
    """Things beside one another, from left to right."""
    shapes = stream(seed, "shapes").permutation(SHAPES)
    colours = stream(seed, "colours").permutation(list(COLOURS))
    places = _places(seed, count)
    made = [
        _thing(seed, index, str(shapes[index]), str(colours[index]), places[index], count) for index in range(count)
    ]
    return tuple(sorted(made, key=lambda thing: thing.across / thing.away))


def _places(seed: int, count: int) -> list[float]:
    """Where things stand across the picture, in widths of a square picture from its centre."""
    rng = stream(seed, "places")
    if count == 1:
        return [float(rng.uniform(-0.28, 0.28))]
    slots = (np.arange(count) + 0.5) / max(count, 1) - 0.5
    return [float(x) for x in rng.permutation(slots) * 1.05 + rng.uniform(-0.06, 0.06, count)]


def _thing(seed: int, index: int, shape: str, colour: str, place: float, count: int) -> Thing:
    """One thing; its size follows from the part of the picture that it is to cover."""
    view = lens(seed)
    rng = stream(seed, f"stand {index}")
    foot = float(rng.uniform(0.62, 0.84))
    cover = float(np.exp(rng.uniform(*np.log(COVER[min(count, 3)]))))
    tall = min(float(np.sqrt(cover / FILL[shape])), foot - 0.04)
    away = view.height / ((foot - 0.5) / view.focal + view.pitch)
    edge = max(0.0, 0.52 - tall * BREADTH[shape] / 2)
    drifts = stream(seed, f"drift {index}")
    return Thing(
        shape=shape,
        colour=colour,
        material=_pick(seed, f"material {index}", MATERIALS, (0.56, 0.24, 0.2)),
        across=float(np.clip(place, -edge, edge)) * away / view.focal,
        away=away,
        size=tall * away / view.focal,
        turn=float(stream(seed, f"turn {index}").uniform(-0.55, 0.55)),
        drift=float(drifts.uniform(-0.01, 0.01)) * away if drifts.random() < 0.4 else 0.0,
    )


def name(thing: Thing, material: bool = False) -> str:
    """A thing in words: "a red ball", or "a shiny red ball"."""
    words = f"{thing.material} {thing.colour}" if material and thing.material != "matte" else thing.colour
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words} {thing.shape}"


def caption(world: World) -> str:
    """What a world shows, as "a red ball and a blue box on grass, hills, at night, in rain".

    Materials, clouds and what goes without saying (day, clear weather, summer) are said or left out, by a stream.
    """
    said = stream(world.seed, "caption").random(5)
    names = [name(thing, material=bool(said[0] < 0.6)) for thing in world.things]
    place = {"road": "a road", "pavement": "a pavement"}.get(world.ground, world.ground)
    words = [f"{' and '.join(names) or 'an empty view'} on {place}", world.skyline]
    if world.clouds and world.weather == "clear" and said[1] < 0.5:
        words.append("cloudy sky")
    if world.season != "summer" or said[2] < 0.25:
        words.append(f"in {world.season}")
    if world.time != "day" or said[3] < 0.35:
        words.append({"day": "in daylight", "sunset": "at sunset", "night": "at night"}[world.time])
    if world.weather != "clear" or said[4] < 0.25:
        words.append({"clear": "clear weather"}.get(world.weather, f"in {world.weather}"))
    return ", ".join(words)


def recoloured(world: World, index: int, colour: str) -> World:
    """The world with one thing of another colour."""
    return _with(world, index, replace(world.things[index], colour=colour))


def with_material(world: World, index: int, material: str) -> World:
    """The world with one thing of another material."""
    return _with(world, index, replace(world.things[index], material=material))


def reshaped(world: World, index: int, shape: str) -> World:
    """The world with one thing of another shape, which covers about as much of the picture as the old one did."""
    thing = world.things[index]
    size = thing.size * float(np.sqrt(FILL[thing.shape] / FILL[shape]))
    return _with(world, index, replace(thing, shape=shape, size=size))


def removed(world: World, index: int) -> World:
    """The world without one of its things."""
    return replace(world, things=world.things[:index] + world.things[index + 1 :])


def _with(world: World, index: int, thing: Thing) -> World:
    return replace(world, things=(*world.things[:index], thing, *world.things[index + 1 :]))
