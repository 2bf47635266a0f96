"""Measures against cases whose answer is known by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from latensify_server.bench import measures


def noise(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def test_psnr_of_known_errors() -> None:
    grey = np.full((8, 8, 3), 0.5, np.float32)
    assert measures.psnr(grey, grey + np.float32(0.1)) == pytest.approx(20, abs=1e-4)
    assert measures.psnr(grey, grey - np.float32(0.01)) == pytest.approx(40, abs=1e-3)
    assert measures.psnr(grey, grey) == measures.EXACT_DB


def test_psnr_counts_the_region_alone() -> None:
    a, b = np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 3), np.float32)
    b[0] = 1
    top = np.zeros((4, 4), bool)
    top[:2] = True
    assert measures.psnr(a, b, top) == pytest.approx(10 * np.log10(2))
    assert measures.psnr(a, b, ~top) == measures.EXACT_DB
    with pytest.raises(ValueError, match="empty region"):
        measures.psnr(a, b, np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match="one size"):
        measures.psnr(a, b[:2])


def test_a_picture_is_brought_back_by_its_flow() -> None:
    later = noise(0)
    flow = np.zeros((64, 64, 2), np.float32)
    flow[...] = 3, -2
    moved = measures.warped(later, flow)
    assert np.allclose(moved[2:, :-3], later[:-2, 3:])


def test_warp_error_of_a_moving_shot_is_nought_and_of_a_flickering_one_its_square() -> None:
    world = noise(1, 64, 96)
    frames = [world[:, 4 * index : 4 * index + 64] for index in range(4)]
    flow = np.zeros((64, 64, 2), np.float32)
    flow[..., 0] = -4
    visible = np.ones((64, 64), bool)
    visible[:, :4] = False
    flows, regions = [flow] * 3, [visible] * 3
    assert measures.warp_error(frames, flows, regions) == pytest.approx(0, abs=1e-12)
    assert measures.warp_error(frames, flows, [~visible] * 3) > 0.01
    flickering = [frame + np.float32(0.1 * (index % 2)) for index, frame in enumerate(frames)]
    assert measures.warp_error(flickering, flows, regions) == pytest.approx(0.01, rel=1e-4)
    with pytest.raises(ValueError, match="need 3 flows"):
        measures.warp_error(frames, flows[:2], regions)
    with pytest.raises(ValueError, match="No pixel"):
        measures.warp_error(frames, flows, [np.zeros((64, 64), bool)] * 3)


def test_texture_distance_knows_texture_from_pixels() -> None:
    one, other = noise(2, 128, 128), noise(3, 128, 128)
    assert measures.texture_distance(one, one) == 0
    alike = measures.texture_distance(one, other)
    assert alike < 0.05, "another draw of the same texture"
    blurred = cv2.GaussianBlur(one, (0, 0), 2)
    assert measures.psnr(one, blurred) > measures.psnr(one, other), "PSNR prefers the blur"
    assert measures.texture_distance(one, blurred) > 10 * alike, "the texture distance does not"


def test_texture_distance_of_twice_the_contrast_is_the_logarithm_of_two() -> None:
    strong = cv2.resize(noise(4, 32, 32), (128, 128), interpolation=cv2.INTER_CUBIC)
    weak = 0.5 + 0.5 * (strong - 0.5)
    assert measures.texture_distance(weak, strong) == pytest.approx(np.log(2), abs=0.08)


def test_texture_distance_tells_directions_apart() -> None:
    x = np.arange(128, dtype=np.float32)
    across = np.broadcast_to((0.5 + 0.4 * np.sin(x))[None, :, None], (128, 128, 3))
    assert measures.texture_distance(across, across.transpose(1, 0, 2)) > 0.5
    assert measures.texture_distance(across, np.roll(across, 2, axis=1)) < 0.05


def test_texture_distance_counts_the_region_alone() -> None:
    one = noise(5, 64, 64)
    half = one.copy()
    half[:, 32:] = 0.5
    left = np.zeros((64, 64), bool)
    left[:, :20] = True
    assert measures.texture_distance(one, half, left) < 0.05
    right = np.zeros((64, 64), bool)
    right[:, 44:] = True
    assert measures.texture_distance(one, half, right) > 1
    assert measures.texture_distance(one, half, right, left) < 0.2
    with pytest.raises(ValueError, match="empty region"):
        measures.texture_distance(one, half, np.zeros((64, 64), bool))
