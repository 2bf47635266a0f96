"""What a world is: streams of its own for each attribute, sizes that can be seen, edits of one thing, captions."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from latensify_server.training import render, worlds

SEEDS = range(60)


def test_a_world_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert worlds.random_world(7) == worlds.random_world(7)
    assert len({worlds.random_world(seed) for seed in SEEDS}) == len(SEEDS)


def test_streams_of_different_attributes_are_independent_and_stable() -> None:
    names = ("sky", "ground", "clouds", "weather", "turn 0", "turn 1")
    assert worlds.stream(1, "sky").random() == worlds.stream(1, "sky").random()
    assert len({worlds.stream(1, name).random() for name in names}) == len(names)
    assert worlds.stream(1, "sky").random() != worlds.stream(2, "sky").random()


@pytest.mark.parametrize("attribute", ["ground", "skyline", "clouds", "weather", "time", "season", "move"])
def test_every_value_occurs_and_no_attribute_tells_of_another(attribute: str) -> None:
    """Over many seeds the share of a ground is the same, whatever the other attribute is."""
    drawn = [worlds.random_world(seed, things=0) for seed in range(1500)]
    known = {
        "ground": worlds.GROUNDS,
        "skyline": worlds.SKYLINES,
        "clouds": (False, True),
        "weather": worlds.WEATHERS,
        "time": worlds.TIMES,
        "season": worlds.SEASONS,
        "move": worlds.MOVES,
    }[attribute]
    for value in known:
        of_it = [world for world in drawn if getattr(world, attribute) == value]
        assert len(of_it) > 100
        if attribute != "ground":
            assert np.mean([world.ground == "sand" for world in of_it]) == pytest.approx(0.2, abs=0.12)


def test_the_number_of_things_may_be_chosen_and_changes_nothing_else() -> None:
    for seed in SEEDS:
        chosen = [worlds.random_world(seed, things=count) for count in range(4)]
        assert [len(world.things) for world in chosen] == [0, 1, 2, 3]
        assert len({replace(world, things=()) for world in chosen}) == 1
    assert {len(worlds.random_world(seed).things) for seed in SEEDS} == {0, 1, 2, 3}


def test_things_of_a_world_can_be_told_apart_by_shape_and_by_colour() -> None:
    for seed in SEEDS:
        things = worlds.random_world(seed, things=3).things
        assert len({thing.shape for thing in things}) == len({thing.colour for thing in things}) == 3
        assert [thing.across / thing.away for thing in things] == sorted(thing.across / thing.away for thing in things)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_thing_alone_covers_4_to_25_percent(count: int) -> None:
    for seed in range(25):
        world = replace(worlds.random_world(seed, things=count), ground="grass")
        for thing in world.things:
            covered = render.daylight(replace(world, things=(thing,)), 48, 48).masks[0].mean()
            assert 0.038 <= covered <= 0.25, (seed, thing)


def test_edits_of_one_thing_leave_the_rest_of_the_world() -> None:
    world = worlds.random_world(3, things=3)
    for edited, changed in (
        (worlds.recoloured(world, 1, "white"), {"colour"}),
        (worlds.with_material(world, 1, "shiny"), {"material"}),
        (worlds.reshaped(world, 1, "car"), {"shape", "size"}),
    ):
        assert replace(edited, things=world.things) == world
        assert edited.things[0] == world.things[0] and edited.things[2] == world.things[2]
        old, new = world.things[1], edited.things[1]
        differing = {field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name)}
        assert differing <= changed and differing
    assert worlds.removed(world, 1).things == (world.things[0], world.things[2])


@pytest.mark.parametrize("shape", worlds.SHAPES)
def test_a_thing_of_another_shape_covers_about_as_much(shape: str) -> None:
    world = replace(worlds.random_world(11, things=1), ground="grass")
    old = render.daylight(world, 64, 64).masks[0].mean()
    assert render.daylight(worlds.reshaped(world, 0, shape), 64, 64).masks[0].mean() == pytest.approx(old, rel=0.35)


def test_a_caption_names_what_is_there() -> None:
    ball = worlds.Thing("ball", "red", "matte", -1.0, 6.0, 1.5, 0.0, 0.0)
    box = worlds.Thing("box", "orange", "matte", 1.0, 6.0, 1.5, 0.0, 0.0)
    world = worlds.World(1, "grass", "hills", False, "rain", "night", "summer", (ball, box), "still")
    said = worlds.caption(replace(world, season="winter"))
    assert said == "a red ball and an orange box on grass, hills, in winter, at night, in rain"
    assert worlds.caption(replace(world, things=(), ground="road")).startswith("an empty view on a road, hills")
    assert worlds.name(replace(ball, material="shiny"), material=True) == "a shiny red ball"
    assert worlds.name(replace(box, material="matte"), material=True) == "an orange box"


def test_what_goes_without_saying_is_said_now_and_then() -> None:
    plain = [
        worlds.caption(replace(worlds.random_world(seed), weather="clear", time="day", season="summer"))
        for seed in range(120)
    ]
    for words in ("in daylight", "clear weather", "in summer"):
        assert 10 < sum(words in text for text in plain) < 80
    assert not any(words in text for text in plain for words in ("night", "snow", "rain", "fog", "winter"))
