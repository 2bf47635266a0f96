"""A flickering edit over a moving picture is calmed, and a lone frame is left alone."""

from __future__ import annotations

import cv2
import numpy as np
from skimage import data

from latensify_server.diffusion.steady import Pair, steadied


def moving_pairs(count: int, flicker: float) -> list[Pair]:
    """A pan whose every frame is darkened by a third, and brightened at random as a whole and in blobs."""
    photo = cv2.resize(data.astronaut(), (256, 256)).astype(np.float32) / 255
    rng = np.random.default_rng(0)
    pairs = []
    for index in range(count):
        seen = np.ascontiguousarray(photo[40:136, 20 + 3 * index : 148 + 3 * index])
        blobs = cv2.resize(rng.normal(0, flicker, (6, 8, 3)).astype(np.float32), (128, 96))
        pairs.append(Pair(seen, np.clip(seen * np.float32(0.66) + 0.1 + blobs, 0, 1)))
    return pairs


def test_flicker_falls_and_the_edit_stays() -> None:
    pairs, clean = moving_pairs(5, 0.05), moving_pairs(5, 0.0)
    truth = clean[2].edited
    before = np.abs(pairs[2].edited - truth).mean()
    after = np.abs(steadied(pairs, 2) - truth).mean()
    assert after < 0.75 * before


def test_a_steady_edit_hardly_changes() -> None:
    clean = moving_pairs(5, 0.0)
    assert np.abs(steadied(clean, 2) - clean[2].edited).mean() < 0.01


def test_a_lone_frame_is_left_alone() -> None:
    (pair,) = moving_pairs(1, 0.05)
    np.testing.assert_allclose(steadied([pair], 0), pair.edited, atol=1e-6)


def test_a_cut_shares_nothing() -> None:
    first, second = moving_pairs(2, 0.0)
    other = Pair(1 - second.seen, np.zeros_like(second.edited))
    assert np.abs(steadied([first, other], 0) - first.edited).mean() < 0.002
