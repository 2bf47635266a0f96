"""Colour goes there and back; what a model sees lies in 0..1 whatever the plate holds."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from latensify_bridge.choices import ColourSpace
from latensify_server import colour


def hdr_ramp() -> colour.Image:
    values = np.array([-0.1, -0.01, 0, 0.001, 0.02, 0.18, 0.5, 0.8, 0.801, 1, 1.5, 4, 12, 40], np.float32)
    red, green = np.meshgrid(values, values)
    return np.stack([red, green, np.full_like(red, 0.3)], axis=-1)


@pytest.mark.parametrize("space", list(ColourSpace))
def test_every_space_goes_there_and_back(space: ColourSpace) -> None:
    linear = hdr_ramp()
    back = colour.to_linear(colour.from_linear(linear, space), space)
    np.testing.assert_allclose(back, linear, rtol=2e-5, atol=5e-5)


@pytest.mark.parametrize(
    ("space", "grey"),
    [("srgb", 0.4614), ("rec709", 0.4894), ("linear_rec709", 0.18), ("acescg", 0.18), ("acescct", 0.4136),
     ("davinci_intermediate", 0.3360), ("logc4", 0.2784), ("slog3", 0.4106), ("log3g10", 0.3333)],
)  # fmt: skip
def test_middle_grey_lies_where_the_makers_say(space: str, grey: float) -> None:
    encoded = colour.from_linear(np.full((1, 1, 3), 0.18, np.float32), ColourSpace(space))
    np.testing.assert_allclose(encoded, grey, atol=1e-3)


def test_display_is_srgb_below_the_knee_and_inverts_everywhere() -> None:
    linear = hdr_ramp()
    display = colour.to_display(linear)
    assert display.max() < 1
    dark = linear.max(axis=-1) <= colour.KNEE
    np.testing.assert_allclose(display[dark], colour.encode_srgb(linear[dark]), atol=1e-6)
    np.testing.assert_allclose(colour.from_display(display), linear, rtol=1e-3, atol=1e-5)


def test_display_keeps_order_and_hue() -> None:
    ramp = np.linspace(0, 60, 4000, dtype=np.float32)[None, :, None] * np.float32([1, 0.5, 0.25])
    display = colour.to_display(ramp)
    assert (np.diff(display[0, :, 0]) > 0).all()
    shown = colour.decode_srgb(display)
    np.testing.assert_allclose(
        shown[..., 1] / np.maximum(shown[..., 0], 1e-9), np.where(ramp[..., 0] > 0, 0.5, 0), atol=1e-4
    )


def test_what_is_no_number_becomes_one() -> None:
    wild = np.array([[[np.nan, np.inf, -np.inf]]], np.float32)
    for space in ColourSpace:
        assert np.isfinite(colour.to_linear(wild, space)).all()


def test_colour_needs_no_torch() -> None:
    check = "import sys, latensify_server.colour; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
