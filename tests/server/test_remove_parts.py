"""Remove's parts: the mosaic that is painted once, moving texture, shadows, and where pixels come from."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from latensify_bridge.choices import Motion, Output
from latensify_bridge.composite import composite
from latensify_server import colour
from latensify_server.bench import clips, shot
from latensify_server.diffusion import clean_plate, mosaic, provenance
from latensify_server.diffusion.fill import Region
from latensify_server.diffusion.shadows import shadow_of

SMALL, COUNT = (160, 90), 8


def window(clip: clips.Clip) -> clean_plate.Shot:
    holes = clip.holes()
    linear = [colour.decode_srgb(frame) for frame in clip.frames]
    motion = next(one for one in Motion if one == clip.motion)
    return clean_plate.shot_of(linear, holes, [~hole for hole in holes], motion)


def test_what_no_frame_shows_is_painted_once_for_all() -> None:
    clip = clips.make("locked", 0, SMALL, COUNT)
    taken = shot.removed(shot.work_of(clip, 0, grain=0.0))
    assert taken.exact
    never = np.all([matte > 0.99 for matte in clip.mattes], axis=0)
    assert never.sum() > 100
    for frame in taken.frames[1:]:
        np.testing.assert_allclose(frame[never], taken.frames[0][never], atol=0.01)


def test_the_mosaic_holds_every_frames_pixels_in_their_place() -> None:
    clip = clips.make("pan", 0, SMALL, COUNT)
    whole = window(clip)
    found = [clean_plate.untouched(whole, index) for index in range(COUNT)]
    made = mosaic.mosaic_of(whole, found, range(COUNT))
    assert made is not None and made.hole.any() and not (made.hole & made.shown).any()
    x, y = made.offset
    root = whole.linear[whole.anchor]
    inside = made.shown[max(0, -y) :, max(0, -x) :][: root.shape[0] - max(0, y), : root.shape[1] - max(0, x)]
    laid = made.pixels[max(0, -y) :, max(0, -x) :][: inside.shape[0], : inside.shape[1]]
    own = root[max(0, y) :, max(0, x) :][: inside.shape[0], : inside.shape[1]]
    kept = inside & ~whole.holes[whole.anchor][max(0, y) :, max(0, x) :][: inside.shape[0], : inside.shape[1]]
    assert np.abs(laid - own)[kept].mean() < 0.005


def test_moving_texture_moves_on_and_keeps_its_contrast() -> None:
    case = shot.case_of("water", 0, SMALL, COUNT)
    assert case.ours.moving_texture < 0.7 * case.plate.moving_texture
    assert case.ours.moving_warp < 2 * case.truth.moving_warp
    assert case.ours.moving_warp > 0.3 * case.truth.moving_warp


def test_a_shadow_is_found_and_a_clip_without_has_none() -> None:
    clip = clips.make("shadow", 0, SMALL, COUNT + 4)
    whole = window(clip)
    plain = np.abs(clip.frames[6] - clip.truth[6]).mean(axis=-1)
    shade = (plain > 0.06) & ~clip.holes()[6]
    found = shadow_of(whole, 6)
    assert (found & shade).sum() > 0.8 * shade.sum()
    assert found.sum() < 4 * shade.sum()
    without = clips.make("pan", 0, SMALL, COUNT)
    assert shadow_of(window(without), 4).mean() < 0.01


def test_provenance_shows_three_sources_and_leaves_the_plate() -> None:
    clip = clips.make("locked", 0, SMALL, COUNT)
    work = shot.work_of(clip, 0, output=Output.PROVENANCE, mask_feather=0.0)
    taken = shot.removed(work)
    assert taken.exact
    whole = clip.mattes[3] > 0.9
    told = [np.abs(taken.frames[3] - value).max(axis=-1) < 0.02 for value in COLOURS]
    assert (told[0] | told[1] | told[2])[whole].all()
    never = np.all([matte > 0.9 for matte in clip.mattes], axis=0)
    assert told[1][never].all()
    assert told[0][whole].mean() > 0.2


COLOURS = (provenance.PROPAGATED, provenance.INVENTED, provenance.MOVING)


def test_flat_colours_say_where_pixels_come_from() -> None:
    plate = np.full((4, 6, 3), 0.2, np.float32)
    regions: list[Region] = [np.zeros((4, 6), bool) for _ in range(3)]
    regions[0][:, 2:], regions[1][:, 3], regions[2][:, 4] = True, True, True
    grain = np.zeros(3, np.float32)
    found = clean_plate.Found(plate, regions[1], np.ones((4, 6), np.float32), grain)
    shown = colour.encode_srgb(provenance.painted(plate, regions[0], found, regions[2]))
    np.testing.assert_allclose(shown[:, 2], np.tile(provenance.PROPAGATED, (4, 1)), atol=1e-5)
    np.testing.assert_allclose(shown[:, 3], np.tile(provenance.INVENTED, (4, 1)), atol=1e-5)
    np.testing.assert_allclose(shown[:, 4], np.tile(provenance.MOVING, (4, 1)), atol=1e-5)
    np.testing.assert_array_equal(provenance.painted(plate, regions[0], found, regions[2])[:, :2], plate[:, :2])


def test_a_soft_edge_does_not_let_the_object_through() -> None:
    clip = clips.make("locked", 0, SMALL, COUNT)
    work = shot.work_of(clip, 0, grain=0.0)
    from latensify_server.diffusion.remove import classically

    done = classically(work, lambda fraction, stage: None)[4]
    out = composite(work.plates[4].pixels, done, 1.0, premultiplied=False)[..., :3]
    edge = (clip.mattes[4] > 0.1) & (clip.mattes[4] < 0.9) & clip.seen(4)
    assert edge.sum() > 20
    assert np.abs(out - clip.truth[4])[edge].mean() < 0.02
