"""A matte is 1 inside what was drawn and grown, falls over the feather, and is exactly 0 beyond."""

from __future__ import annotations

import numpy as np
import pytest

from latensify_bridge.effects import Restyle
from latensify_bridge.frames import Box, Depth
from latensify_server.diffusion import matte
from latensify_server.engine import Plate, WindowEdit


def disc(radius: float, size: int = 101) -> matte.Matte:
    y, x = np.mgrid[:size, :size] - size // 2
    return (np.hypot(x, y) <= radius).astype(np.float32)


@pytest.mark.parametrize("pixels", [1, 7, 12.5, -1, -6])
def test_a_disc_grows_to_a_disc(pixels: float) -> None:
    area = matte.grow(disc(20), pixels).sum()
    assert area == pytest.approx(np.pi * (20 + pixels) ** 2, rel=0.06)


def test_feather_goes_outwards_only_and_ends() -> None:
    mask = disc(20)
    soft = matte.feather(mask, 8)
    y, x = np.mgrid[:101, :101] - 50
    assert (soft[mask == 1] == 1).all()
    assert (soft[np.hypot(x, y) > 29.5] == 0).all()
    ring = soft[50, 71:79]
    assert (np.diff(ring) < 0).all() and 0 < ring[-1] < ring[0] < 1


def test_a_soft_matte_keeps_its_softness() -> None:
    ramp = np.tile(np.linspace(0, 1, 50, dtype=np.float32), (20, 1))
    assert (matte.grow(ramp, 5) >= ramp).all()
    assert (matte.grow(ramp, -5) <= ramp).all()
    np.testing.assert_array_equal(matte.grow(ramp, 5)[:, :15], ramp[:, :15])
    faint = np.full((20, 20), 0.3, np.float32)
    np.testing.assert_array_equal(matte.feather(matte.grow(faint, 4), 4), faint)


def test_all_or_nothing_stays() -> None:
    for value in (0.0, 1.0):
        whole = np.full((9, 9), value, np.float32)
        for pixels in (-3, 0, 3):
            np.testing.assert_array_equal(matte.feather(matte.grow(whole, pixels), 3), whole)


def test_the_box_holds_the_support() -> None:
    mask = np.zeros((40, 60), np.float32)
    mask[10:20, 30:45] = 0.01
    assert matte.box_of(mask) == Box(30, 10, 15, 10)
    assert matte.box_of(np.zeros((4, 4))) == Box(0, 0, 0, 0)


def test_sizes_follow_the_render_scale() -> None:
    params = Restyle(prompt="fog", mask_grow=8, mask_feather=0)
    plate = Plate(1, np.zeros((101, 101, 4), np.float32), disc(20))
    half = matte.matte_of(plate, WindowEdit("restyle", params, (plate,), Depth.FLOAT, 0.5, 1.0))
    np.testing.assert_array_equal(half, matte.grow(disc(20), 4))
