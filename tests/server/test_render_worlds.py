"""Worlds drawn: each attribute changes what it paints alone, depth and motion are exact, regions tell the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from latensify_server.training import render, worlds
from latensify_server.training.camera import camera, project
from latensify_server.training.looks import Image, floats
from latensify_server.training.render import Picture, daylight, draw, flow
from latensify_server.training.trace import SKY_M
from latensify_server.training.worlds import Thing, World

SIDE_PX = 96
THINGS = (
    Thing("ball", "red", "matte", -1.1, 5.5, 1.4, 0.3, 0.0),
    Thing("box", "blue", "striped", 1.0, 6.5, 1.3, 0.3, 0.0),
)
WORLD = World(11, "grass", "hills", True, "clear", "day", "summer", THINGS, "still")
CONDITIONS = [
    {},
    {"weather": "rain"},
    {"weather": "snow"},
    {"weather": "fog"},
    {"time": "sunset"},
    {"time": "night"},
    {"season": "autumn"},
    {"season": "winter", "time": "night"},
]


def drawn(world: World, frame: int = 0) -> Picture:
    return draw(world, SIDE_PX, SIDE_PX, frame)


def changed(before: Picture, after: Picture) -> Image:
    """The largest difference of each pixel's channels."""
    return floats(np.abs(before.image - after.image).max(axis=2))


def around(mask: Image, margin_px: int) -> np.ndarray:
    """Where a mask is seen, or is within a margin."""
    size = 2 * margin_px + 1
    return np.asarray(cv2.dilate((mask > 0).astype(np.uint8), np.ones((size, size), np.uint8)) > 0)


def test_a_picture_is_well_formed_and_the_same_again() -> None:
    for seed in range(8):
        world = worlds.random_world(seed)
        picture, again = draw(world, 96, 64, 3), draw(world, 96, 64, 3)
        assert picture.image.shape == (64, 96, 3) and picture.image.dtype == np.float32
        assert np.isfinite(picture.image).all() and picture.image.min() >= 0 and picture.image.max() <= 1
        assert np.array_equal(picture.image, again.image) and np.array_equal(picture.depth, again.depth)
        assert len(picture.masks) == len(world.things)
        regions = picture.regions
        for part in (regions.sky, regions.ground, regions.foliage, regions.depth, regions.lights, *picture.masks):
            assert part.shape == (64, 96) and part.dtype == np.float32 and part.min() >= 0 and part.max() <= 1


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
@pytest.mark.parametrize("edit", ["colour", "material"])
def test_another_colour_or_material_is_seen_on_the_thing_alone(edit: str, conditions: dict[str, str]) -> None:
    world = replace(WORLD, **conditions)
    edited = worlds.recoloured(world, 0, "white") if edit == "colour" else worlds.with_material(world, 0, "striped")
    before, after = drawn(world), drawn(edited)
    difference, thing = changed(before, after), before.masks[0]
    assert np.array_equal(thing, after.masks[0])
    assert difference[thing == 1].mean() > 0.03
    assert difference[~around(thing, 3)].max() < 1 / 255
    if not conditions:
        assert difference[thing == 0].max() == 0


def test_a_removed_thing_uncovers_what_was_behind_and_takes_its_shadow_along() -> None:
    before, after = drawn(WORLD), drawn(worlds.removed(WORLD, 0))
    difference, outside = after.image - before.image, before.masks[0] == 0
    assert difference[outside].min() >= 0 and difference[outside].max() > 0.05
    assert (difference[outside].max(axis=1) > 0).mean() < 0.2
    assert np.array_equal(before.image[before.regions.sky == 1], after.image[before.regions.sky == 1])
    assert np.all(after.masks[0] >= before.masks[1])


def test_a_thing_of_another_shape_changes_no_more_than_both_cover_with_their_shadows() -> None:
    before, after = drawn(WORLD), drawn(worlds.reshaped(WORLD, 0, "cone"))
    without = drawn(worlds.removed(WORLD, 0))
    difference = changed(before, after) > 0
    allowed = (changed(before, without) > 0) | (changed(after, without) > 0)
    assert difference.any() and not (difference & ~allowed).any()


@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        ({"ground": "sand"}, lambda picture: (picture.regions.sky == 1) | (picture.masks[0] == 1)),
        ({"skyline": "city"}, lambda picture: (picture.regions.ground == 1) | (picture.masks[0] == 1)),
        ({"clouds": False}, lambda picture: picture.regions.sky == 0),
    ],
    ids=["ground", "skyline", "clouds"],
)
def test_a_part_of_the_world_changes_alone(edit: dict[str, object], kept: Callable[[Picture], np.ndarray]) -> None:
    before, after = drawn(WORLD), drawn(replace(WORLD, **edit))  # type: ignore[arg-type]
    same = kept(before) & kept(after)
    assert same.mean() > 0.05
    assert changed(before, after)[same].max() == 0 and changed(before, after)[~same].mean() > 0.02
    assert all(np.array_equal(a, b) for a, b in zip(before.masks, after.masks, strict=True))


@pytest.mark.parametrize("edit", CONDITIONS[1:], ids=str)
def test_season_weather_and_time_change_no_geometry(edit: dict[str, str]) -> None:
    before, after = drawn(WORLD), drawn(replace(WORLD, **edit))
    assert changed(before, after).mean() > 0.04
    assert np.array_equal(before.depth, after.depth)
    for one, other in zip((*before.masks, before.regions.sky), (*after.masks, after.regions.sky), strict=True):
        assert np.array_equal(one, other)


def test_day_and_night_in_rain_show_the_same_drops() -> None:
    """Drops and flakes come from the weather's stream: another time of day leaves each where it was."""
    for weather in ("rain", "snow"):
        fallen = [drawn(replace(WORLD, weather=weather, season=season)).image for season in ("summer", "autumn")]
        sky = drawn(WORLD).regions.sky == 1
        assert np.abs(fallen[0] - fallen[1])[sky].max() < 0.15
        one, two = (part.mean(axis=2)[sky] for part in fallen)
        assert np.corrcoef(one, two)[0, 1] > 0.9


def test_the_first_frame_is_the_same_under_every_move() -> None:
    first = drawn(WORLD).image
    for move in worlds.MOVES:
        assert np.allclose(drawn(replace(WORLD, move=move)).image, first, atol=1e-5)
        later = drawn(replace(WORLD, move=move), 12).image
        assert (np.abs(later - first).max() > 0.1) == (move != "still")


def test_depth_of_the_ground_the_sky_and_a_ball() -> None:
    world = replace(WORLD, skyline="plain", things=(replace(THINGS[0], across=0.0),))
    picture, view, lens = drawn(world), camera(world, 0), worlds.lens(world.seed)
    rows = np.arange(0.5, SIDE_PX)[:, None] * np.ones(SIDE_PX)
    tilt = np.arctan(lens.pitch)
    sinks = (rows - SIDE_PX / 2) / (lens.focal * SIDE_PX) * np.cos(tilt) + np.sin(tilt)
    ground = (picture.regions.ground == 1) & (picture.depth < 40)
    assert ground.sum() > 500
    assert np.allclose(picture.depth[ground], lens.height / sinks[ground], rtol=2e-3)
    assert (picture.depth[picture.regions.sky == 1] == SKY_M).all()
    thing = world.things[0]
    centre = floats([[0.0], [thing.size / 2], [thing.away]])
    across, along, _ = project(view, centre, SIDE_PX, SIDE_PX)
    distance = np.linalg.norm(centre[:, 0] - view.position)
    axis = np.hypot(np.hypot(across[0] - SIDE_PX / 2, along[0] - SIDE_PX / 2) / (lens.focal * SIDE_PX), 1)
    nearest = (distance - thing.size / 2) / axis
    assert picture.depth[int(along[0]), int(across[0])] == pytest.approx(nearest, rel=5e-3)


@pytest.mark.parametrize("shape", worlds.SHAPES)
def test_a_thing_stands_where_it_is_said_to_and_is_as_high(shape: str) -> None:
    thing = Thing(shape, "red", "matte", 0.2, 7.0, 2.0, 0.0, 0.0)
    world = replace(WORLD, things=(thing,))
    rows, columns = np.nonzero(drawn(world).masks[0] > 0.5)
    heights = floats([[thing.across] * 2, [0.0, thing.size], [thing.away] * 2])
    x, y, _ = project(camera(world, 0), heights, SIDE_PX, SIDE_PX)
    assert rows.min() == pytest.approx(y[1], abs=0.09 * SIDE_PX)
    assert rows.max() == pytest.approx(y[0], abs=0.09 * SIDE_PX)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(x[0], abs=0.04 * SIDE_PX)


def test_shapes_have_silhouettes_of_their_own() -> None:
    """At one height and one centre no two shapes overlap by more than 85 %."""
    cuts = {}
    for shape in worlds.SHAPES:
        thing = Thing(shape, "red", "matte", 0.0, 7.0, 2.0, 0.3, 0.0)
        mask = drawn(replace(WORLD, things=(thing,))).masks[0] > 0.5
        rows, columns = np.nonzero(mask)
        box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float32)
        scale = 48 / box.shape[0]
        box = cv2.resize(box, (max(1, round(box.shape[1] * scale)), 48)) > 0.5
        wide = np.zeros((48, 160), bool)
        wide[:, 80 - box.shape[1] // 2 : 80 - box.shape[1] // 2 + box.shape[1]] = box
        cuts[shape] = wide
    for one in cuts:
        for other in cuts:
            if one < other:
                assert (cuts[one] & cuts[other]).sum() / (cuts[one] | cuts[other]).sum() < 0.85, (one, other)


@pytest.mark.parametrize("move", worlds.MOVES)
def test_a_later_frame_warped_by_the_flow_is_the_earlier_one(move: str) -> None:
    world = replace(WORLD, move=move, ground="pavement", skyline="city")
    motion, visible = flow(world, SIDE_PX, SIDE_PX, 0, 6)
    one, other = (daylight(world, SIDE_PX, SIDE_PX, frame).image for frame in (0, 6))
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32)
    warped = cv2.remap(other, x + motion[..., 0], y + motion[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error, still = np.abs(warped - one).mean(axis=2)[visible], np.abs(other - one).mean(axis=2)[visible]
    assert visible.mean() > 0.7 and error.mean() < 0.012
    if move == "still":
        assert np.abs(motion).max() < 1e-3 and visible.all()
    else:
        assert np.abs(motion).max() > 1 and error.mean() < 0.6 * still.mean()


def test_a_drifting_thing_moves_by_its_own_metres_and_hides_what_it_passes() -> None:
    thing = replace(THINGS[0], drift=0.1)
    world = replace(WORLD, things=(thing,))
    motion, visible = flow(world, SIDE_PX, SIDE_PX, 0, 5)
    first, last = drawn(world), drawn(world, 5)
    inside = first.masks[0] == 1
    depth = first.depth[inside]
    expected = 0.5 * worlds.lens(world.seed).focal * SIDE_PX / depth
    assert np.allclose(motion[..., 0][inside], expected, rtol=0.02) and np.abs(motion[..., 1][inside]).max() < 1e-2
    assert np.abs(motion[first.regions.ground == 1]).max() < 1e-3
    covered = (last.masks[0] == 1) & (first.masks[0] == 0)
    assert covered.sum() > 20 and not visible[covered].any()


def test_flow_there_and_back_returns_to_the_pixel() -> None:
    world = replace(WORLD, move="orbit")
    there, visible = flow(world, SIDE_PX, SIDE_PX, 0, 8)
    back, _ = flow(world, SIDE_PX, SIDE_PX, 8, 0)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32)
    returned = there + cv2.remap(
        back, x + there[..., 0], y + there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    assert np.percentile(np.linalg.norm(returned[visible], axis=1), 90) < 0.1


def test_water_moves_where_nothing_else_does_and_mirrors_what_stands_above() -> None:
    world = replace(WORLD, ground="water", skyline="forest")
    first, later = drawn(world), drawn(world, 4)
    water, rest = first.regions.ground > 0.59, first.regions.ground == 0
    assert changed(first, later)[water].mean() > 5e-3 and changed(first, later)[rest].max() == 0
    recoloured = drawn(worlds.recoloured(world, 0, "yellow"))
    outside = first.masks[0] == 0
    assert changed(first, recoloured)[outside & water].max() > 0.1
    assert changed(first, recoloured)[outside & ~around(water.astype(np.float32), 1)].max() == 0


def test_lamps_shine_at_night_alone() -> None:
    house = Thing("house", "white", "matte", 0.0, 6.0, 2.0, 0.0, 0.0)
    world = replace(WORLD, things=(house,), skyline="plain")
    day, night = drawn(world), drawn(replace(world, time="night"))
    windows = (day.regions.lights > 0.9) & (day.masks[0] == 1)
    assert windows.sum() > 10
    assert night.image[windows].mean() > 0.6 > 0.35 > night.image[day.regions.ground == 1].mean()
    assert np.array_equal(day.regions.lights, night.regions.lights)


@pytest.mark.parametrize("colour", worlds.COLOURS)
def test_a_matte_thing_in_daylight_has_the_hue_of_its_name(colour: str) -> None:
    for shape in ("ball", "cylinder", "cone"):
        thing = Thing(shape, colour, "matte", 0.0, 6.0, 2.0, 0.0, 0.0)
        picture = drawn(replace(WORLD, things=(thing,)))
        seen = np.median(picture.image[picture.masks[0] == 1], axis=0)

        def apart(name: str, seen: Image = seen) -> float:
            own = floats(worlds.COLOURS[name])
            return float(min(np.linalg.norm(seen - own * light) for light in (0.55, 0.7, 0.85, 1.0)))

        assert min(worlds.COLOURS, key=apart) == colour, seen


def test_another_shape_of_picture_shows_the_same_middle() -> None:
    """Focal length goes by the area, so a thing covers the same part of a wide picture as of a square one."""
    square, wide = drawn(WORLD), render.draw(WORLD, 128, 72)
    for one, other in zip(square.masks, wide.masks, strict=True):
        assert one.mean() == pytest.approx(other.mean(), rel=0.03)
