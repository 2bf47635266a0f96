"""What can be told to change in a world: a thing, the time of day, the weather, the season; and the words for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from latensify_server.training import worlds
from latensify_server.training.worlds import World

CONDITIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "time": {
        "day": ("make it day", "turn night into day", "in daylight"),
        "sunset": ("make it sunset", "at sunset", "turn it into a sunset"),
        "night": ("make it night", "at night", "turn day into night"),
    },
    "weather": {
        "clear": ("clear weather", "make the weather clear", "make it clear"),
        "rain": ("make it rain", "in rain", "let it rain"),
        "snow": ("make it snow", "in snow", "let it snow"),
        "fog": ("make it foggy", "in fog", "add fog"),
    },
    "season": {
        "summer": ("make it summer", "in summer"),
        "autumn": ("make it autumn", "in autumn"),
        "winter": ("make it winter", "in winter"),
    },
}


@dataclass(frozen=True)
class Change:
    """A world before and after one of its things changed, the instruction, and what then stands there ("": nothing)."""

    before: World
    after: World
    index: int
    instruction: str
    description: str


def plain(world: World) -> World:
    """The world on a clear summer day."""
    return replace(world, time="day", weather="clear", season="summer")


def conditioned(world: World, attribute: str, value: str) -> World:
    """The world at another "time", in other "weather" or another "season"."""
    return replace(world, **{attribute: value})  # type: ignore[arg-type]


def some_seed(rng: np.random.Generator) -> int:
    """The seed of a world that is not held out."""
    return int(rng.integers(10**9))


def change(rng: np.random.Generator) -> Change:
    """A world and the same with one thing recoloured, reshaped, replaced, removed or added."""
    world = worlds.random_world(some_seed(rng), things=int(rng.choice([1, 1, 1, 2])))
    if rng.random() < 0.6:
        world = plain(world)
    index = int(rng.integers(len(world.things)))
    thing = world.things[index]
    name = thing.shape if rng.random() < 0.7 else f"{thing.colour} {thing.shape}"
    taken = {(one.shape, one.colour) for one in world.things}
    colour = str(rng.choice([c for c in worlds.COLOURS if all(c != other for _, other in taken)]))
    shape = str(rng.choice([s for s in worlds.SHAPES if all(s != other for other, _ in taken)]))
    kind = rng.choice(["colour", "shape", "both", "remove", "add"], p=[0.34, 0.26, 0.08, 0.24, 0.08])
    if kind == "colour":
        verb = rng.choice(["turn", "make"])
        after, text = worlds.recoloured(world, index, colour), f"{verb} the {name} {colour}"
        return Change(world, after, index, text, worlds.name(replace(thing, colour=colour)))
    if kind == "shape":
        text = rng.choice([f"turn the {name} into a {shape}", f"replace the {name} with a {shape}"])
        return Change(
            world, worlds.reshaped(world, index, shape), index, str(text), worlds.name(replace(thing, shape=shape))
        )
    if kind == "both":
        new = worlds.name(replace(thing, colour=colour, shape=shape))
        after = worlds.recoloured(worlds.reshaped(world, index, shape), index, colour)
        text = rng.choice([f"turn the {name} into {new}", f"replace the {name} with {new}"])
        return Change(world, after, index, str(text), new)
    empty = worlds.removed(world, index)
    if kind == "remove":
        return Change(world, empty, index, f"{rng.choice(['remove', 'take away'])} the {name}", "")
    return Change(empty, world, index, f"add {worlds.name(thing)}", worlds.name(thing))
