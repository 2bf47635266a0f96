"""The clean plate's parts: motion that is found, cuts that are noticed, holes filled smoothly, grain that matches."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from latensify_bridge.choices import Motion
from latensify_server import colour
from latensify_server.diffusion import motion
from latensify_server.diffusion.clean_plate import clean_plate, shot_of
from latensify_server.diffusion.contrast import best_fill, unlike_surroundings
from latensify_server.diffusion.fill import grain_of, smooth_fill, with_grain
from latensify_server.diffusion.patches import patch_fill

from .pan import HEIGHT, WIDTH, pan


def photo(width: int = 160, height: int = 112) -> motion.Grey:
    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)[100 : 100 + height, 100 : 100 + width]


def test_a_known_homography_is_found() -> None:
    true = np.array([[1.02, 0.01, 5.3], [-0.012, 1.01, -3.7], [1e-5, 0, 1]])
    source = photo()
    target = cv2.warpPerspective(source, true, source.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    found = motion.homography(source, target, np.full_like(source, 255), np.full_like(source, 255))
    assert found is not None
    corners = np.float64([[[20, 20], [140, 20], [140, 90], [20, 90]]])
    there = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)
    assert np.abs(there).max() < 0.4


def test_unlike_pictures_have_no_homography() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (112, 160), dtype=np.uint8)
    assert motion.homography(photo(), noise, np.full_like(noise, 255), np.full_like(noise, 255)) is None


def test_a_homography_scales_with_its_pictures() -> None:
    matrix = np.array([[1, 0, 3.0], [0, 1, -2.0], [0, 0, 1]])
    moved = cv2.perspectiveTransform(np.float64([[[11.5, 11.5]]]), motion.scaled(matrix, 4))
    np.testing.assert_allclose(moved, [[[23.5, 3.5]]])


def test_what_is_seen_and_what_is_not_adds_up_to_the_hole() -> None:
    shot = pan(6)
    holes = [plate.mask > 0 for plate in shot.plates]  # type: ignore[operator]
    linear = [plate.pixels[..., :3] for plate in shot.plates]
    shows = [cv2.dilate(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0 for hole in holes]
    found = clean_plate(shot_of(linear, holes, shows, Motion.HOMOGRAPHY), 2)
    filled, missing = found.pixels, found.missing
    assert (found.frames[~holes[2]] == 1).all() and found.frames[holes[2] & ~missing].mean() > 2
    assert missing.shape == (HEIGHT, WIDTH) and missing.sum() < 0.05 * holes[2].sum()
    np.testing.assert_array_equal(filled[~holes[2]], linear[2][~holes[2]])
    np.testing.assert_array_equal(filled[missing], linear[2][missing])
    assert not np.array_equal(filled[holes[2]], linear[2][holes[2]])


def test_smooth_fill_is_exact_on_what_is_known_and_on_constants() -> None:
    values = np.random.default_rng(1).random((37, 53, 3), dtype=np.float32)
    known = np.ones((37, 53), bool)
    known[10:30, 15:40] = False
    np.testing.assert_array_equal(smooth_fill(values, known)[known], values[known])
    flat = np.full((37, 53, 2), 0.37, np.float32)
    np.testing.assert_allclose(smooth_fill(flat, known), 0.37, rtol=1e-6)
    assert (smooth_fill(values, np.zeros_like(known)) == 0).all()


def test_a_smooth_fill_of_a_ramp_is_near_the_ramp() -> None:
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 48, axis=0)
    known = np.ones((48, 64), bool)
    known[16:32, 24:40] = False
    assert np.abs(smooth_fill(ramp, known) - ramp).max() < 0.1


def test_grain_is_measured_and_added() -> None:
    flat = np.full((120, 120, 3), 0.2, np.float32)
    everywhere = np.ones((120, 120), bool)
    strength = np.float32([0.01, 0.02, 0.03])
    grained = with_grain(flat, everywhere.astype(np.float32), strength, seed=3, frame=1001)
    measured = grain_of(grained, everywhere)
    assert measured == pytest.approx(strength, rel=0.3)
    np.testing.assert_array_equal(grained, with_grain(flat, everywhere.astype(np.float32), strength, 3, 1001))
    assert not np.array_equal(grained, with_grain(flat, everywhere.astype(np.float32), strength, 3, 1002))
    assert grain_of(colour.decode_srgb(flat), everywhere).max() < 1e-4


def test_patches_carry_texture_into_a_hole() -> None:
    y, x = np.mgrid[:80, :96]
    stripes = np.repeat((0.5 + 0.4 * np.sin((x + y) * 0.8))[..., None], 3, axis=2).astype(np.float32)
    hole = np.zeros((80, 96), bool)
    hole[30:52, 36:60] = True
    filled = patch_fill(np.where(hole[..., None], np.float32(0), stripes), hole)
    np.testing.assert_array_equal(filled[~hole], stripes[~hole])
    error = np.mean((filled - stripes)[hole] ** 2)
    assert error < 0.1 * np.mean((smooth_fill(stripes, ~hole) - stripes)[hole] ** 2)
    np.testing.assert_array_equal(filled, patch_fill(np.where(hole[..., None], np.float32(0), stripes), hole))


def test_patches_without_any_to_take_leave_the_smooth_fill() -> None:
    picture = np.random.default_rng(2).random((20, 20, 3), dtype=np.float32)
    hole = np.ones((20, 20), bool)
    hole[:2] = False
    np.testing.assert_allclose(patch_fill(picture, hole), smooth_fill(picture, ~hole), atol=1e-6)


def test_of_two_fills_the_one_that_looks_like_its_surroundings_is_taken() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(4).random((72, 72, 3), dtype=np.float32), (0, 0), 1.0)
    hole = np.zeros((72, 72), bool)
    hole[26:46, 26:46] = True
    flat = np.where(hole[..., None], noise.mean(axis=(0, 1)), noise).astype(np.float32)
    assert unlike_surroundings(noise, hole, ~hole) < 0.25 < unlike_surroundings(flat, hole, ~hole)
    filled = best_fill(flat, hole, ~hole)
    assert unlike_surroundings(filled, hole, ~hole) < 0.25
    np.testing.assert_array_equal(filled[~hole], noise[~hole])


def test_patches_come_from_where_they_may() -> None:
    picture = np.zeros((48, 96, 3), np.float32)
    picture[:, :48] = [0.8, 0.1, 0.1]
    picture[:, 48:] = [0.1, 0.1, 0.8]
    hole = np.zeros((48, 96), bool)
    hole[14:34, 38:58] = True
    usable = ~hole & (np.arange(96) < 48)[None]
    for scattered in (False, True):
        filled = patch_fill(picture, hole, usable=usable, scattered=scattered)
        assert filled[hole][:, 0].min() > 0.3
